package iso

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// schemaVersion is the revision of the file format this program reads.
const schemaVersion = 1

// ParseDialect reads a dialect from the text of its file; name is for errors.
// What is wrong with the text gives a *LoadError, the first one in the file.
func ParseDialect(name string, text []byte) (*Dialect, error) {
	d, problems := parseDialect(name, text)
	if len(problems) > 0 {
		return nil, problems[0]
	}
	return d, nil
}

// loader turns the file's blocks into a Dialect.
type loader struct {
	reader
	d         *Dialect
	fieldLine [maxDialectField + 1]int
}

func parseDialect(file string, text []byte) (*Dialect, []*LoadError) {
	l := &loader{reader: reader{file: file}, d: &Dialect{}}
	top := l.parse(text)
	l.meta(top.sub("meta"))
	l.link(top.sub("link"))
	l.header(top.sub("header"))
	l.encoding(top.sub("encoding"))
	l.values(top.sub("values"))
	l.networkBlock(top.sub("network"))
	l.messages(top.sub("messages"))
	l.answers(top.sub("answers"))
	l.responses(top.sub("responses"))
	l.behaviour(top.sub("behaviour"))
	if top.has("golden") {
		l.goldenBlock(top.find("golden"))
	}
	top.done()
	if len(l.problems) == 0 {
		l.crossChecks(top)
	}
	slices.SortStableFunc(l.problems, func(a, b *LoadError) int { return a.Line - b.Line })
	l.d.spec = sync.OnceValue(l.d.moovSpec)
	return l.d, l.problems
}

func (l *loader) meta(s *section) {
	if n := s.number("schema", 1, 1<<20); n != schemaVersion && s != nil {
		l.fail(s.lineOf("schema"), "this program reads schema 1; write schema: 1")
	}
	l.d.id = s.text("id", "a short name like alfa-h2h", 40)
	if strings.ContainsFunc(l.d.id, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-') }) {
		l.fail(s.lineOf("id"), "meta.id may hold a-z, 0-9 and -; write it like alfa-h2h")
	}
	l.d.title = s.text("title", "one line for people", 120)
	l.d.version = s.number("version", 1, 1<<20)
	s.done()
}

func (l *loader) link(s *section) {
	f := &l.d.frame
	frame := s.sub("frame")
	f.kind = frameKind(frame.oneOf("kind", []string{"len-ascii", "len-bin", "len-bcd", "len-hex"}) + 1)
	widest := map[frameKind]int{frameASCII: 8, frameBinary: 4, frameBCD: 4, frameHex: 8}[f.kind]
	f.width = frame.number("width", 1, max(widest, 1))
	f.inclusive = frame.flag("inclusive")
	f.max = frame.number("max", 16, 1<<20)
	f.refuseZero = frame.oneOf("zero", []string{"keepalive", "error"}) == 1
	if f.kind != 0 && frame != nil {
		room := f.capacity()
		if f.inclusive {
			room -= f.width
		}
		if f.max > room {
			l.fail(frame.lineOf("max"), "link.frame.max is %d but the length field can say %d at most; write max: %d or a wider length", f.max, room, room)
		}
	}
	frame.done()
	s.done()
}

func (l *loader) header(s *section) {
	if s.oneOf("kind", []string{"none", "literal"}) == 1 {
		text := s.text("text", "ISO006000010", 64)
		if !classANS.allows([]byte(text)) {
			l.fail(s.lineOf("text"), "header.text must be printable ASCII")
		}
		l.d.frame.header = []byte(text)
		l.d.frame.anyHeader = s.oneOf("receive", []string{"same", "any"}) == 1
	}
	s.done()
}

func (l *loader) encoding(s *section) {
	l.d.codec.bcdMTI = s.oneOf("mti", []string{"ascii", "bcd"}) == 1
	l.d.codec.hexMap = s.oneOf("bitmap", []string{"binary", "hex"}) == 1
	if p := s.optional("private"); p != nil {
		l.d.private = tagForm{tag: p.number("tag", 1, 4), length: p.number("length", 1, 4)}
		p.done()
	}
	fallback := l.field(s.sub("fallback"))
	for f := 2; f <= maxDialectField; f++ {
		if f != 65 {
			l.d.codec.fields[f], l.d.names[f] = fallback, standardNames[f]
		}
	}
	fields := s.sub("fields")
	for key, val := range fields.each {
		f, ok := dataField(key)
		if !ok {
			l.fail(val.Line, "encoding.fields: %q is not a field; write a number from 2 to 128 without 65", key)
			continue
		}
		l.fieldLine[f] = val.Line
		one := l.section(val, fmt.Sprintf("encoding.fields.%d", f))
		if one.has("name") {
			l.d.names[f] = one.text("name", standardNames[f], 80)
		}
		l.d.codec.fields[f] = l.field(one)
	}
	for f := range l.d.codec.fields {
		if row := &l.d.codec.fields[f]; row.form == formHex {
			l.d.codec.hexRoom += int(row.max)
		}
	}
	s.done()
}

// field reads one row of the table.
func (l *loader) field(s *section) fieldCodec {
	f := fieldCodec{class: class(s.oneOf("class", classNames) + 1), mask: mask(max(0, s.maskWord()))}
	content := s.oneOf("content", []string{"ascii", "bcd", "binary", "hex"})
	f.form = formOf(f.class, content)
	if f.form == 0 && f.class != 0 && content >= 0 {
		l.fail(s.lineOf("content"), "%s: class %s has no such content; n and x+n take ascii or bcd, an, ans and z take ascii, b takes binary or hex", s.path, classNames[f.class-1])
	}
	if s.has("len") {
		f.max = uint32(s.number("len", 1, 999))
		if s.has("var") || s.has("max") {
			s.fail("%s has len, so it is fixed; remove var and max, or len", s.path)
		}
	} else {
		f.max = uint32(s.number("max", 1, 65535))
		l.prefix(s.sub("var"), &f)
	}
	l.padding(s, &f)
	s.done()
	return f
}

func (s *section) maskWord() int {
	if !s.has("mask") {
		return 0
	}
	return s.oneOf("mask", maskNames)
}

func formOf(c class, content int) form {
	type pair struct {
		class   class
		content int
	}
	return map[pair]form{
		{classN, 0}: formDigits, {classN, 1}: formBCD, {classAN, 0}: formText, {classANS, 0}: formText,
		{classZ, 0}: formText, {classB, 2}: formBinary, {classB, 3}: formHex,
		{classSign, 0}: formSign, {classSign, 1}: formSignBCD,
	}[pair{c, content}]
}

func (l *loader) prefix(s *section, f *fieldCodec) {
	if s == nil {
		return
	}
	f.prefix = prefixForm(s.oneOf("enc", []string{"ascii", "bcd", "bin"}) + 1)
	width := s.number("width", 1, 6)
	room := 0
	switch f.prefix {
	case prefixASCII:
		f.width, room = uint8(width), pow10[width]-1
	case prefixBCD:
		f.width, room = uint8((width+1)/2), pow10[width]-1
	case prefixBinary:
		f.width, room = uint8(width), 1<<(8*min(width, 3))-1
		if width > 3 {
			l.fail(s.lineOf("width"), "%s.width counts bytes here; write 1, 2 or 3", s.path)
		}
	}
	if f.prefix != 0 && int(f.max) > room {
		l.fail(s.line, "%s can say %d at most but max is %d; write a wider prefix or max: %d", s.path, room, f.max, room)
	}
	digits := s.oneOf("unit", []string{"bytes", "digits"}) == 1
	if digits != (f.form == formBCD) && f.form != 0 {
		l.fail(s.lineOf("unit"), "%s.unit must be digits for content bcd and bytes for all else", s.path)
	}
	if f.form == formHex || f.form == formSign || f.form == formSignBCD {
		l.fail(s.line, "%s: content hex and class x+n are for fixed fields; write len in place of var and max", s.path)
	}
	s.done()
}

// padding reads odd, which packed digits need, and pad, which a fixed text may have.
func (l *loader) padding(s *section, f *fieldCodec) {
	odd := f.form == formBCD && (f.prefix != prefixNone || f.max%2 == 1)
	switch {
	case odd:
		o := s.sub("odd")
		f.oddRight = o.oneOf("side", []string{"left", "right"}) == 1
		f.fill = []byte{0, 15}[max(0, o.oneOf("fill", []string{"0", "F"}))]
		o.done()
	case s.has("odd"):
		l.fail(s.lineOf("odd"), "%s never has an odd number of packed digits; remove odd", s.path)
	}
	if f.form == formSignBCD && f.max%2 == 0 {
		l.fail(s.line, "%s: the sign and an even number of digits follow each other; write an odd len", s.path)
	}
	f.pad, f.padLeft = ' ', false
	if f.class == classN {
		f.pad, f.padLeft = '0', true
	}
	if p := s.optional("pad"); p != nil {
		f.padLeft = p.oneOf("side", []string{"right", "left"}) == 1
		char := p.text("fill", "one character", 1)
		if f.prefix != prefixNone || f.class == classB || f.class == classSign || !f.class.allows([]byte(char)) {
			l.fail(p.line, "%s is for fixed fields of class n, an, ans and z, with a fill their class allows", p.path)
		} else if char != "" {
			f.pad = char[0]
		}
		p.done()
	}
}

func (l *loader) values(s *section) {
	pattern := s.text("rrn", "YDDDNNNNNNNN", 12)
	parts, ok := rrnPattern(pattern)
	if !ok && s != nil {
		l.fail(s.lineOf("rrn"), "values.rrn must be 12 characters of Y, DDD, hh, SSSSSS and N; write YDDDNNNNNNNN or YDDDhhSSSSSS")
	}
	l.d.rrn = parts
	reasons := s.sub("reasons")
	for r := Reason(1); r < reasonCount; r++ {
		l.d.reasons[r] = reasons.text(r.String(), `"4021"`, 20)
	}
	reasons.done()
	l.codes(s.optional("codes"))
	s.done()
}

// codes reads the bank's codes for the sources that have words.
func (l *loader) codes(s *section) {
	for src, words := range wordsOf {
		if words == nil {
			continue
		}
		one := s.optional(sourceRules[src].name)
		if one == nil {
			continue
		}
		codes := make([]string, len(words))
		for i, word := range words {
			if word != "" && one.has(word) {
				codes[i] = one.text(word, `"812"`, 20)
			}
		}
		if words[0] != "" && codes[0] == "" {
			one.fail("%s needs a code for %s", one.path, words[0])
		}
		one.done()
		l.d.coded[src] = codes
	}
	s.done()
}

func rrnPattern(pattern string) ([]rrnPart, bool) {
	var parts []rrnPart
	unique := false
	for i := 0; i < len(pattern); {
		n := len(pattern[i:]) - len(strings.TrimLeft(pattern[i:], pattern[i:i+1]))
		want, known := map[byte]int{'Y': 1, 'D': 3, 'h': 2, 'S': 6, 'N': n}[pattern[i]]
		if !known || n != want {
			return nil, false
		}
		unique = unique || pattern[i] == 'N' || pattern[i] == 'S'
		parts = append(parts, rrnPart{kind: pattern[i], n: n})
		i += n
	}
	return parts, unique && len(pattern) == 12
}

func (l *loader) networkBlock(s *section) {
	codes := s.sub("codes")
	for op := OpSignOn; op <= OpEcho; op++ {
		if codes.has(op.String()) {
			l.d.network[op] = codes.text(op.String(), `"301"`, 4)
		}
	}
	codes.done()
	l.d.behaviour.EchoInterval = s.duration("echo_interval")
	s.done()
}

func (l *loader) responses(s *section) {
	l.d.codes = map[string]CodeMeaning{}
	codes := s.sub("codes")
	for code, val := range codes.each {
		path := "responses.codes." + code
		if len(code) < 2 || len(code) > 4 || !classAN.allows([]byte(code)) {
			l.fail(val.Line, "responses.codes: %q is not a response code; write it in quotes like \"05\"", code)
		}
		if meaning := l.meaning(l.section(val, path)); meaning != (CodeMeaning{}) {
			l.d.codes[code] = meaning
		}
	}
	unknown := s.sub("unknown")
	l.d.unknown = l.meaning(unknown)
	if l.d.unknown.Approved || l.d.unknown.Partial {
		unknown.fail("responses.unknown: a code the file does not list is never approved; write result: declined")
	}
	s.done()
}

func (l *loader) meaning(s *section) CodeMeaning {
	var m CodeMeaning
	switch s.oneOf("result", []string{"approved", "partial", "declined", "in_doubt"}) {
	case 0:
		m.Approved = true
	case 1:
		m.Approved, m.Partial = true, true
	case 3:
		m.InDoubt = true
	case 2:
		codes := DeclineCodes()
		m.Decline = codes[max(0, s.oneOf("decline", codes))]
		m.Retry = retryAdvice[max(0, s.oneOf("retry", retryAdvice))]
	}
	m.Message = s.text("message", "one sentence for people", 160)
	s.done()
	return m
}

func (l *loader) behaviour(s *section) {
	b := &l.d.behaviour
	timers := s.sub("timers")
	b.ResponseTimeout, b.ReversalTimeout = timers.duration("response"), timers.duration("reversal")
	b.LateWindow = timers.duration("late")
	timers.done()
	l.matching(s.sub("match"), s.sub("verify"))
	reversal := s.sub("reversal")
	b.ReversalNewSTAN = reversal.oneOf("stan", []string{"original", "new"}) == 1
	b.ReversalMTI = l.d.requests[OpReversal].mti
	l.d.verdicts = l.verdicts(reversal, "manual")
	reversal.done()
	if advice := s.optional("advice"); advice != nil {
		l.d.advices = l.verdicts(advice, "refused")
		advice.done()
	}
	saf := s.sub("saf")
	b.SAF = SAFSchedule{First: saf.duration("first"), Cap: saf.duration("cap"), Expiry: saf.duration("expiry"),
		Factor: float64(saf.number("factor", 1, 100)), MaxAttempts: saf.number("max_attempts", 0, 1<<20)}
	if saf != nil && (b.SAF.Cap < b.SAF.First || b.SAF.Expiry < b.SAF.Cap) {
		saf.fail("behaviour.saf needs first <= cap <= expiry")
	}
	saf.done()
	s.done()
}

// verdicts reads the codes that end a repeated message: those of done, and
// those under the second key, after which it is not sent again.
func (l *loader) verdicts(s *section, second string) map[string]ReversalVerdict {
	out := map[string]ReversalVerdict{}
	for verdict, key := range map[ReversalVerdict]string{ReversalDone: "done", ReversalManual: second} {
		for _, item := range l.list(s.need(key, `["00", "25"]`), s.pathOf(key)) {
			if _, twice := out[item.Value]; twice {
				l.fail(item.Line, "%s: code %q is listed twice; remove one", s.path, item.Value)
			}
			out[item.Value] = verdict
		}
	}
	return out
}

func (s *section) pathOf(key string) string {
	if s == nil {
		return key
	}
	return s.at(key)
}

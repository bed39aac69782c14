package iso

import (
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
	stepParts []*section // of each network step
	chip      []uint32   // tags that the message that is read may carry
}

func parseDialect(file string, text []byte) (*Dialect, []*LoadError) {
	l := &loader{reader: reader{file: file}, d: &Dialect{}}
	root := l.document(text)
	if root != nil {
		if l.inherit(root, file); len(l.problems) > 0 {
			return l.d, l.problems
		}
	}
	top := l.section(root, "")
	l.meta(top.sub("meta"))
	l.header(top.sub("header"))
	l.link(top.sub("link"))
	l.encoding(top.sub("encoding"))
	l.values(top.sub("values"))
	l.networkBlock(top.sub("network"))
	messages, answers, behaviour := top.sub("messages"), top.sub("answers"), top.sub("behaviour")
	l.responses(top.sub("responses"))
	golden := top.find("golden")
	coded := top.optional("security")
	if coded != nil {
		l.pinBlock(coded.optional("pin"))
	}
	top.done()
	// What is wrong above would only be told again by what stands on it.
	if len(l.problems) == 0 {
		l.messages(messages)
		l.answers(answers)
		l.networkMessages()
	}
	if len(l.problems) == 0 {
		l.behaviour(behaviour)
		l.security(coded)
	}
	if len(l.problems) == 0 && golden != nil {
		l.goldenBlock(golden)
	}
	if len(l.problems) == 0 {
		l.crossChecks(top)
	}
	slices.SortStableFunc(l.problems, func(a, b *LoadError) int {
		if own := b.File == file; own != (a.File == file) {
			return map[bool]int{true: 1, false: -1}[own]
		}
		return a.Line - b.Line
	})
	l.problems = once(l.problems)
	l.d.spec = sync.OnceValue(l.d.moovSpec)
	return l.d, l.problems
}

// once leaves one problem of each line, and one of those that advise the same.
func once(all []*LoadError) []*LoadError {
	advice := func(p *LoadError) string {
		_, text, ok := strings.Cut(p.Text, ": ")
		if !ok {
			return p.Text
		}
		return text
	}
	var out []*LoadError
	for _, p := range all {
		if !slices.ContainsFunc(out, func(q *LoadError) bool {
			return q.File == p.File && (q.Line == p.Line || advice(q) == advice(p))
		}) {
			out = append(out, p)
		}
	}
	return out
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
	l.days(s)
	l.d.mark = l.d.Revision().mark()
	s.done()
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
	l.d.verdicts, l.d.says.reversed, _ = l.verdicts(reversal, "manual")
	reversal.done()
	if advice := s.optional("advice"); advice != nil {
		l.d.advices, l.d.says.acknowledged, l.d.says.refused = l.verdicts(advice, "refused")
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
// those under the second key, after which it is not sent again; and the first of
// each list.
func (l *loader) verdicts(s *section, second string) (out map[string]ReversalVerdict, done, other string) {
	out = map[string]ReversalVerdict{}
	for i, key := range []string{"done", second} {
		verdict := []ReversalVerdict{ReversalDone, ReversalManual}[i]
		for j, item := range l.list(s.need(key, `["00", "25"]`), s.pathOf(key)) {
			switch {
			case j == 0 && verdict == ReversalDone:
				done = item.Value
			case j == 0:
				other = item.Value
			}
			if _, twice := out[item.Value]; twice {
				l.fail(item.Line, "%s: code %q is listed twice; remove one", s.path, item.Value)
			}
			out[item.Value] = verdict
		}
	}
	return out, done, other
}

func (s *section) pathOf(key string) string {
	if s == nil {
		return key
	}
	return s.at(key)
}

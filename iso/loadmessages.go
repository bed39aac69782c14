package iso

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (l *loader) messages(s *section) {
	for op := OpPurchase; op < opCount; op++ {
		if one := s.optional(op.String()); one != nil {
			l.d.requests[op] = l.request(one, op)
		}
	}
	if s != nil && (l.d.requests[OpPurchase].mti == 0 && l.d.requests[OpAuthorization].mti == 0 || l.d.requests[OpReversal].mti == 0) {
		s.fail("messages needs a purchase or an authorization, and a reversal to undo it")
	}
	s.done()
}

func (l *loader) request(s *section, op Operation) program {
	p := program{mti: l.mti(s)}
	if p.mti != 0 && (!p.mti.ExpectsAnswer() || p.mti != p.mti.Normal()) {
		l.fail(s.lineOf("mti"), "%s.mti must be a request or an advice and no repeat, like 0200 or 0420", s.path)
	}
	p.steps = l.steps(s.sub("fields"), op)
	p.has, p.chip = sourcesOf(p.steps), l.takeChip()
	p.demands = l.demands(s, op, p.steps)
	for _, st := range p.steps {
		if l.d.at[st.source] == 0 {
			l.d.at[st.source] = uint8(st.field)
		}
		if st.field == 3 && st.source == srcConst {
			l.d.processing[op] = st.constant
		}
		l.d.partsIn4 = l.d.partsIn4 || (st.source == srcOriginalAmounts || st.source == srcOriginalMoney) && op == OpVoid
		l.d.parts = l.d.parts || st.source == srcReplacement && op == OpVoid || l.d.partsIn4
		l.d.totals = l.d.totals || st.source == srcTotal
	}
	if p.mti != 0 {
		l.followUp(s, op, p.mti)
	}
	s.done()
	return p
}

// sourcesOf has a bit for each source that the steps take.
func sourcesOf(steps []step) (has uint64) {
	for _, st := range steps {
		has |= 1 << st.source
		eachSource(st.parts, func(t *partStep) { has |= 1 << t.source })
	}
	return has
}

// followUp holds the operations after a payment to the types that the switch
// repeats and resolves them by.
func (l *loader) followUp(s *section, op Operation, mti MTI) {
	line := s.lineOf("mti")
	switch {
	case op == OpCapture && (mti.Class() != 2 || mti.Function() != 2):
		l.fail(line, "%s.mti must be a financial advice, like 0220: a capture is repeated until it is acknowledged", s.path)
	case op == OpVoid && mti.Class() != 4:
		l.fail(line, "%s.mti must be a reversal, like 0400 or 0420", s.path)
	case op == OpRefund && mti.Class() != 2:
		l.fail(line, "%s.mti must be a financial message, like 0200 or 0220", s.path)
	case (op == OpIncrement || op == OpVerification) && mti.anyVersion() != MTIAuthorization:
		l.fail(line, "%s.mti must be an authorization request, like 0100: unanswered it is reversed or holds nothing", s.path)
	case op == OpPayout && mti.anyVersion() != MTIFinancial:
		l.fail(line, "%s.mti must be a financial request, like 0200: a payout is never repeated, unanswered it is reversed", s.path)
	case (op == OpRefund || op == OpPayout) && !strings.HasPrefix(l.d.processing[op], "2"):
		s.fail("%s needs field 3 with a constant from 200000 to 299999: money to the cardholder", s.path)
	}
}

func (l *loader) mti(s *section) MTI {
	text := s.text("mti", `"0200"`, 4)
	m, err := ParseMTI(text)
	if err != nil && text != "" {
		l.fail(s.lineOf("mti"), "%s.mti must be four digits in quotes, like \"0200\"", s.path)
	}
	return m
}

func (l *loader) answers(s *section) {
	for key, val := range s.each {
		mti, err := ParseMTI(key)
		if err != nil || !mti.IsAnswer() || mti != mti.Normal() {
			l.fail(val.Line, "answers: %q is not the type of an answer; write it like \"0210\"", key)
			continue
		}
		one := l.section(val, "answers."+key)
		steps := l.steps(one.sub("fields"), 0)
		chip := l.takeChip()
		one.done()
		l.d.answers = append(l.d.answers, answerClass{mti: mti, program: program{mti: mti, steps: steps, has: sourcesOf(steps), chip: chip}})
	}
}

// steps reads the fields of one message. op is 0 for an answer.
func (l *loader) steps(s *section, op Operation) []step {
	var out []step
	for key, val := range s.each {
		field, ok := l.dataField(key)
		if !ok {
			l.fail(val.Line, "%s: %q is not a field; write a number from 2 to %d without 65", s.path, key, l.last)
			continue
		}
		if one := l.section(val, s.at(key)); one != nil {
			if st := l.step(one, field, op); st.source != 0 {
				out = append(out, st)
			}
		}
	}
	slices.SortFunc(out, func(a, b step) int { return a.field - b.field })
	return out
}

func (l *loader) step(s *section, field int, op Operation) step {
	st := step{field: field}
	words := []string{"from", "const", "tags", "parts", "echo"}
	given := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !s.has(w) })
	if len(given) != 1 {
		s.fail("%s needs one of from, const, tags, parts or echo; write it like {from: stan} or {const: \"59\"}", s.path)
		return st
	}
	switch given[0] {
	case "from":
		st.source = l.source(s, op)
	case "const":
		st.source, st.constant = srcConst, l.constant(s, field)
	case "tags":
		st.source = srcParts
		st.layout, st.parts = l.tags(s.sub("tags"), l.d.codec.fields[field], op)
	case "parts":
		st.source, st.layout = srcParts, l.d.codec.parts[field]
		if st.layout == nil {
			s.fail("%s: field %d has no parts; write encoding.fields.%d.parts", s.path, field, field)
			break
		}
		st.parts = l.partSteps(s.sub("parts"), st.layout, op)
	case "echo":
		if st.source = srcEcho; op != 0 || !s.flag("echo") {
			s.fail("%s: only a field of an answer can be {echo: true}", s.path)
		}
	}
	st.optional = s.optionalFlag("optional")
	s.done()
	l.checkStep(s, &st, op)
	return st
}

// constant is a text, or the hex digits of a field of class b.
func (l *loader) constant(s *section, field int) string {
	text := s.text("const", `"59"`, 999)
	if !l.d.isBinary(field) {
		return string(l.inPage(s.lineOf("const"), field, text))
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		l.fail(s.lineOf("const"), "%s: field %d is binary; write the constant in hex digits", s.path, field)
	}
	return string(raw)
}

func (l *loader) source(s *section, op Operation) source {
	var words []string
	for src := srcPAN; src < srcCount; src++ {
		words = append(words, sourceRules[src].name)
	}
	src := srcPAN + source(s.oneOf("from", words))
	if src < srcPAN {
		return 0
	}
	network := op >= OpSignOn && op <= OpEcho
	switch {
	case src == srcEMV && op == 0:
	case src.secret() && op != OpPurchase && op != OpAuthorization && op != OpVerification:
		s.fail("%s: a card's verification data belongs in a purchase, an authorization and a verification only; remove the field", s.path)
	case src == srcProcessingCode && op != OpReversal && op != OpVoid:
		s.fail("%s: processing_code is that of a message that is undone; write a constant", s.path)
	case (src == srcReplacement || src == srcReversalFunction || src == srcOriginalMoney) && op != OpVoid && op != OpReversal:
		s.fail("%s: %s belongs in a void or a reversal", s.path, sourceRules[src].name)
	case src == srcTotal && op != OpIncrement:
		s.fail("%s: total belongs in an increment", s.path)
	case src == srcNetworkCode && !network:
		s.fail("%s: network_code belongs in sign_on, sign_off and echo", s.path)
	case src == srcNetworkCode && l.d.network[op] == "":
		s.fail("%s: the file gives no code for it; write network.steps.%s", s.path, op)
	case src >= srcSettlementDate && src <= srcSettlementDateCentury && op != 0:
		s.fail("%s: %s belongs in an answer", s.path, sourceRules[src].name)
	case src >= srcRare && op == 0 && src != srcNetworkTransactionID:
		s.fail("%s: %s belongs in a request", s.path, sourceRules[src].name)
	case wordsOf[src] != nil && l.d.coded[src] == nil && src != srcECI:
		s.fail("%s: the file gives no codes for it; write values.codes.%s", s.path, sourceRules[src].name)
	}
	if src == srcEMV && l.chip != nil {
		s.fail("%s: the message has chip data in another field already; remove one", s.path)
	} else if src == srcEMV {
		l.chip = l.allowedChip(s, op)
	}
	return src
}

// takeChip gives the list of tags of the message that was just read.
func (l *loader) takeChip() []uint32 {
	chip := l.chip
	l.chip = nil
	return chip
}

// secret reports whether a source gives what may never be stored.
func (src source) secret() bool {
	switch src {
	case srcCVC, srcCAVV, srcCAVVBytes, srcCryptogram, srcTrack2, srcEMV, srcPINBlock:
		return true
	}
	return false
}

// bytes reports whether a source gives no text.
func (src source) bytes() bool { return src == srcEMV || src == srcCAVVBytes }

// checkStep compares what a source gives with what the field takes.
func (l *loader) checkStep(s *section, st *step, op Operation) {
	f := &l.d.codec.fields[st.field]
	if f.form == 0 {
		return
	}
	rule := sourceRules[st.source]
	switch {
	case st.source == srcConst:
		if _, broken := f.fit([]byte(st.constant), 0, srcConst); broken != ruleNone {
			s.fail("%s: the constant does not fit field %d: %s", s.path, st.field, ruleTexts[broken])
		}
	case st.source == srcEcho, st.source == srcParts && st.layout == l.d.codec.parts[st.field]:
	case st.source == srcPINBlock || st.source == srcPINControl:
		l.checkPIN(s, st.source, f)
	case st.source.bytes() && f.class != classB:
		s.fail("%s: %s needs a field of class b", s.path, rule.name)
	case st.source == srcMoney && st.field != 4:
		s.fail("%s: money is currency and amount in field 4 of the 2003 edition; write from: amount and from: currency", s.path)
	case !st.source.bytes() && f.class == classB || f.class == classSign:
		s.fail("%s: field %d has class %s, which takes no text; give it class n, an or ans", s.path, st.field, classNames[f.class-1])
	case st.source == srcParts && f.class != classANS:
		s.fail("%s: tags need a field of class ans", s.path)
	case rule.max > int(f.max):
		s.fail("%s: %s has %d characters but field %d takes %d", s.path, rule.name, rule.max, st.field, f.max)
	case st.source == srcSTAN && f.class == classN && f.padLeft && f.pad == '0':
	case f.prefix == prefixNone && rule.min > 0 && rule.min == rule.max && rule.max != int(f.max):
		s.fail("%s: %s has %d characters but field %d has exactly %d", s.path, rule.name, rule.max, st.field, f.max)
	}
	for _, code := range l.d.coded[st.source] {
		if _, broken := f.fit([]byte(code), 0, st.source); code != "" && broken != ruleNone {
			s.fail("%s: a code of values.codes.%s does not fit field %d: %s", s.path, rule.name, st.field, ruleTexts[broken])
		}
	}
	inTags := false
	eachSource(st.parts, func(t *partStep) {
		inTags = inTags || t.source.secret() && t.source != srcPINBlock
		l.checkPart(s, st, t)
	})
	if st.source == srcTrack2 && f.mask != maskTrack && f.mask != maskSecret {
		s.fail("%s: field %d carries track data; write mask: track in encoding.fields.%d", s.path, st.field, st.field)
	}
	if (st.source.secret() && st.source != srcTrack2 && st.source != srcPINBlock || inTags) && f.mask != maskSecret {
		s.fail("%s: field %d carries verification data; write mask: secret in encoding.fields.%d", s.path, st.field, st.field)
	}
	if st.source == srcPAN && f.mask == maskNone {
		s.fail("%s: field %d carries the card number; write mask: pan in encoding.fields.%d", s.path, st.field, st.field)
	}
}

// matching reads what joins an answer to its request, and what is compared after.
func (l *loader) matching(match, verify *section) {
	for i := range l.d.answers {
		c := &l.d.answers[i]
		key := c.mti.String()
		c.key = l.fieldList(match.need(key, "[11, 37, 41]"), match.pathOf(key))
		size := 2
		for _, f := range c.key {
			size += 1 + int(l.d.codec.fields[f].max)
			if l.d.codec.fields[f].mask != maskNone {
				l.fail(match.lineOf(key), "behaviour.match.%s: field %d is masked, so it may not be part of a key", key, f)
			}
		}
		if size > keySize {
			l.fail(match.lineOf(key), "behaviour.match.%s: the fields take %d bytes of a key that has %d; name fewer or shorter fields", key, size, keySize)
		}
		if !slices.Contains(c.key, 11) && match != nil {
			l.fail(match.lineOf(key), "behaviour.match.%s must hold field 11, the trace number", key)
		}
		if one := verify.optional(key); one != nil {
			if one.has("equal") {
				c.equal = l.fieldList(one.find("equal"), one.at("equal"))
			}
			if one.has("if_present") {
				c.ifPresent = l.fieldList(one.find("if_present"), one.at("if_present"))
			}
			one.done()
		}
	}
	match.done()
	verify.done()
}

// crossChecks holds the blocks against each other, once each is right by itself.
func (l *loader) crossChecks(top *section) {
	line := top.lineOf("messages")
	l.undoing(line)
	l.answeredSteps()
	for op := OpPurchase; op < opCount; op++ {
		p := &l.d.requests[op]
		if p.mti == 0 {
			continue
		}
		c := l.d.class(p.mti.Response())
		if c == nil {
			l.fail(line, "messages.%s is answered by %s; write answers.%q", op, p.mti.Response(), p.mti.Response())
			continue
		}
		for _, field := range c.key {
			if !slices.ContainsFunc(p.steps, func(s step) bool { return s.field == field && !s.optional }) {
				l.fail(line, "messages.%s has no field %d that is always sent, but behaviour.match.%q needs it", op, field, c.mti.String())
			}
		}
	}
	for i := range l.d.golden {
		l.checkGolden(&l.d.golden[i])
	}
}

// undoing holds together what the operations after a payment need of each other.
func (l *loader) undoing(line int) {
	d := l.d
	from := func(op Operation) bool {
		return slices.ContainsFunc(d.requests[op].steps, func(s step) bool { return s.source == srcProcessingCode })
	}
	for _, op := range []Operation{OpPurchase, OpAuthorization, OpIncrement} {
		if d.Supports(op) && d.processing[op] == "" && (from(OpReversal) || from(OpVoid)) {
			l.fail(line, "messages.%s needs field 3 as a constant, since a reversal takes its processing_code", op)
		}
	}
	if d.requests[OpRefund].mti != 0 && d.requests[OpRefund].mti.Function() == 0 && !from(OpReversal) {
		l.fail(line, "messages.refund is a request, which is reversed when it is not answered; write messages.reversal.fields.3: {from: processing_code}")
	}
	if d.Supports(OpPayout) && !from(OpReversal) {
		l.fail(line, "messages.payout is reversed when it is not answered; write messages.reversal.fields.3: {from: processing_code}")
	}
	if d.totals && !slices.ContainsFunc(d.requests[OpReversal].steps, func(s step) bool { return s.source == srcReplacement }) {
		l.fail(line, "messages.increment names the new total, so its reversal says what stays; write messages.reversal.fields.95: {from: replacement, optional: true}")
	}
	advices := d.Supports(OpCapture) || d.Supports(OpVoid) || d.requests[OpRefund].mti.Function() == 2
	if advices && d.advices == nil {
		l.fail(line, "messages has a capture, a void or a refund; write behaviour.advice: {done: [\"00\"], refused: [\"12\"]}")
	}
}

// goldenVector is a message whose bytes and fields are both known.
type goldenVector struct {
	name string
	line int
	body []byte
	want Message
}

func (l *loader) goldenBlock(n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		l.fail(n.Line, "golden must be a list of {name, mti, text or hex, fields}")
		return
	}
	for i, item := range n.Content {
		s := l.section(item, fmt.Sprintf("golden[%d]", i))
		if s == nil {
			continue
		}
		g := goldenVector{name: s.text("name", "purchase", 80), line: s.line}
		g.want.MTI = l.mti(s)
		if s.has("hex") {
			body, err := hex.DecodeString(strings.Join(strings.Fields(s.text("hex", "0200...", 1<<16)), ""))
			if err != nil {
				l.fail(s.lineOf("hex"), "%s.hex must be pairs of hex digits", s.path)
			}
			g.body = body
		} else {
			g.body = []byte(s.text("text", "0200...", 1<<16))
		}
		l.goldenFields(s.sub("fields"), &g.want)
		s.done()
		l.d.golden = append(l.d.golden, g)
	}
}

func (l *loader) goldenFields(s *section, m *Message) {
	for key, val := range s.each {
		field, ok := l.dataField(key)
		if !ok || val.Kind != yaml.ScalarNode {
			l.fail(val.Line, "%s: write a field from 2 to %d without 65 and its value in quotes", s.path, l.last)
			continue
		}
		if !l.d.isBinary(field) {
			m.Set(field, l.inPage(val.Line, field, val.Value))
			continue
		}
		raw, err := hex.DecodeString(val.Value)
		if err != nil {
			l.fail(val.Line, "%s.%d is binary; write it in hex digits", s.path, field)
		}
		m.Set(field, raw)
	}
}

// inPage is a text of the file as a Message holds it in the field.
func (l *loader) inPage(line, field int, text string) []byte {
	p := l.d.codec.fields[field].page
	if p == nil {
		return []byte(text)
	}
	value, ok := p.exact(text)
	if !ok {
		l.fail(line, "field %d has no byte for a character of this text; write one that its content holds", field)
	}
	return value
}

// checkGolden holds one vector against the tables, both ways. It quotes no value.
func (l *loader) checkGolden(g *goldenVector) {
	var got Message
	if err := l.d.Decode(g.body, &got); err != nil {
		l.fail(g.line, "golden %q cannot be read: %s; mend encoding or the vector", g.name, strings.TrimPrefix(err.Error(), "iso: "))
		return
	}
	if got.MTI != g.want.MTI {
		l.fail(g.line, "golden %q has type %s; mend its mti", g.name, got.MTI)
	}
	for f := 2; f <= maxDialectField; f++ {
		if got.Has(f) != g.want.Has(f) || !bytes.Equal(got.Get(f), g.want.Get(f)) {
			l.fail(g.line, "golden %q: field %d is not what the bytes hold; mend encoding or the vector", g.name, f)
		}
	}
	body, err := l.d.AppendBody(nil, &g.want)
	if err != nil {
		l.fail(g.line, "golden %q cannot be written: %s", g.name, strings.TrimPrefix(err.Error(), "iso: "))
	} else if !bytes.Equal(body, g.body) {
		l.fail(g.line, "golden %q: the fields give other bytes; mend encoding or the vector", g.name)
	}
}

package iso

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// demand is a rule of the bank for one field of a message, which is checked when
// the message is complete and before it is sent.
type demand struct {
	field  int
	must   presence
	values []string // when the field is there it has one of these; empty: any

	when  []condition // all hold, or the rule says nothing
	fault *FieldError
}

type presence uint8

const (
	mayBePresent presence = iota
	mustBePresent
	mustBeAbsent
)

// condition is one key of `when`, over the values the message is built from.
type condition struct {
	fact   fact
	words  []string
	amount int64
	fields []int
}

type fact uint8

const (
	factCurrency fact = iota
	factMCC
	factCountry
	factECI
	factTerminal
	factMerchant
	factChannel
	factCredential
	factAmountFrom // at least so much
	factAmountTo   // at most so much
	factWith       // the message has all of these fields
	factWithout    // it has none of these
)

var factNames = []string{"currency", "mcc", "country", "eci", "terminal", "merchant", "channel", "credential", "amount_from", "amount_to", "with", "without"}

// check returns the rule that m breaks, nil: none.
func (d *demand) check(v *Values, m *Message) *FieldError {
	for i := range d.when {
		if !d.when[i].holds(v, m) {
			return nil
		}
	}
	there := m.Has(d.field)
	if d.must == mustBePresent && !there || d.must == mustBeAbsent && there {
		return d.fault
	}
	if there && len(d.values) > 0 && !among(d.values, m.Get(d.field)) {
		return d.fault
	}
	return nil
}

func among(words []string, value []byte) bool {
	for _, w := range words {
		if w == string(value) {
			return true
		}
	}
	return false
}

func (c *condition) holds(v *Values, m *Message) bool {
	switch c.fact {
	case factCurrency:
		return slices.Contains(c.words, v.Currency.Alpha())
	case factAmountFrom:
		return v.Amount >= c.amount
	case factAmountTo:
		return v.Amount <= c.amount
	case factWith:
		return !slices.ContainsFunc(c.fields, func(f int) bool { return !m.Has(f) })
	case factWithout:
		return !slices.ContainsFunc(c.fields, m.Has)
	}
	return slices.Contains(c.words, c.word(v))
}

func (c *condition) word(v *Values) string {
	switch c.fact {
	case factMCC:
		return v.MCC
	case factCountry:
		return v.Country
	case factECI:
		return v.ECI
	case factTerminal:
		return v.Terminal
	case factMerchant:
		return v.Merchant
	case factChannel:
		if v.Carried == nil {
			return ChannelEcommerce.String()
		}
		return v.Carried.Channel.String()
	case factCredential:
		if v.Carried != nil {
			return v.Carried.Credential.String()
		}
	}
	return ""
}

// demands reads the rules of one message.
func (l *loader) demands(s *section, op Operation, steps []step) []demand {
	if s == nil || !s.has("rules") {
		return nil
	}
	n := s.find("rules")
	if op == OpReversal || op >= OpSignOn && op <= OpVoid {
		l.fail(n.Line, "%s.rules: a message that is owed to the bank, or that runs the link, cannot be refused; remove rules", s.path)
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		l.fail(n.Line, "%s.rules must be a list like [{field: 48, must: present, when: {currency: [RUB]}}]", s.path)
		return nil
	}
	var out []demand
	for i, item := range n.Content {
		if one := l.section(item, fmt.Sprintf("%s.rules[%d]", s.path, i)); one != nil {
			if d := l.demand(one, steps); d.fault != nil {
				out = append(out, d)
			}
		}
	}
	return out
}

func (l *loader) demand(s *section, steps []step) demand {
	var d demand
	field := s.text("field", "48", 3)
	f, ok := l.dataField(field)
	at := slices.IndexFunc(steps, func(st step) bool { return st.field == f })
	switch {
	case !ok:
		l.fail(s.lineOf("field"), "%s.field: %q is not a field; write a number from 2 to %d without 65", s.path, field, l.last)
		return d
	case at < 0:
		l.fail(s.lineOf("field"), "%s: the message has no field %d; add it to fields, or remove the rule", s.path, f)
		return d
	}
	d.field = f
	text := ""
	if s.has("must") {
		d.must = presence(s.oneOf("must", []string{"present", "absent"}) + 1)
		text = "must be " + []string{"", "present", "absent"}[d.must]
		if d.must == mustBePresent && !steps[at].optional && steps[at].source != srcEcho {
			s.fail("%s: field %d is not optional, so it is always present; remove the rule or write optional: true", s.path, f)
		}
	}
	if s.has("values") {
		for _, item := range l.list(s.find("values"), s.at("values")) {
			if _, broken := l.d.codec.fields[f].fit([]byte(item.Value), 0, srcConst); broken != ruleNone {
				l.fail(item.Line, "%s.values: %q does not fit field %d: %s", s.path, item.Value, f, ruleTexts[broken])
			}
			d.values = append(d.values, item.Value)
		}
		text = strings.TrimPrefix(text+" and must be one of "+strings.Join(d.values, ", "), " and ")
	}
	if text == "" || d.must == mustBeAbsent && len(d.values) > 0 {
		s.fail("%s says nothing; write must: present, must: absent or values: [...]", s.path)
	}
	when := s.optional("when")
	var words []string
	for key, val := range when.each {
		c, word := l.condition(when, key, val)
		d.when, words = append(d.when, c), append(words, word)
	}
	if len(words) > 0 {
		text += " when " + strings.Join(words, " and ")
	}
	s.done()
	d.fault = &FieldError{Field: f, Rule: "it " + text + ", by a rule of the dialect"}
	return d
}

// condition reads one key of `when`, and words it.
func (l *loader) condition(s *section, key string, val *yaml.Node) (c condition, word string) {
	at := slices.Index(factNames, key)
	if at < 0 {
		l.fail(val.Line, "%s has no key %q; it has %s", s.path, key, strings.Join(factNames, ", "))
		return c, ""
	}
	c.fact = fact(at)
	switch c.fact {
	case factAmountFrom, factAmountTo:
		n, err := strconv.ParseInt(val.Value, 10, 64)
		if err != nil || n < 0 || n > maxAmount {
			l.fail(val.Line, "%s must be minor units from 0 to %d", s.at(key), maxAmount)
		}
		c.amount = n
		return c, fmt.Sprintf("the amount is %s %d", map[fact]string{factAmountFrom: "at least", factAmountTo: "at most"}[c.fact], n)
	case factWith, factWithout:
		c.fields = l.fieldList(val, s.at(key))
		return c, key + " field " + strings.Trim(fmt.Sprint(c.fields), "[]")
	}
	for _, item := range l.list(val, s.at(key)) {
		if !c.fact.knows(item.Value) {
			l.fail(item.Line, "%s: %q is no %s", s.at(key), item.Value, key)
		}
		c.words = append(c.words, item.Value)
	}
	if len(c.words) == 0 {
		l.fail(val.Line, "%s is empty, so the rule never holds; write a value or remove the key", s.at(key))
	}
	return c, key + " is " + strings.Join(c.words, " or ")
}

// knows reports whether a word is one the fact can ever have.
func (f fact) knows(word string) bool {
	switch f {
	case factCurrency:
		_, err := ParseCurrency(word)
		return err == nil
	case factMCC:
		return len(word) == 4 && allDigits(word)
	case factCountry:
		return len(word) == 3 && allDigits(word)
	case factChannel:
		return slices.Contains(channelNames, word)
	case factCredential:
		return word != "" && slices.Contains(credentialNames, word)
	}
	return word != ""
}

package iso

import (
	"slices"
	"strings"
)

// maxNetworkSteps bounds network.steps.
const maxNetworkSteps = 32

// networkBlock reads what runs the links. The messages of its steps are completed by
// networkMessages, when those that they are like are known.
func (l *loader) networkBlock(s *section) {
	l.d.behaviour.EchoInterval = s.duration("echo_interval")
	if s.has("done") {
		l.d.granted = map[string]bool{}
		for _, item := range l.list(s.find("done"), s.at("done")) {
			if l.d.granted[item.Value] = true; l.d.says.network == "" {
				l.d.says.network = item.Value
			}
		}
	}
	l.d.says.noStep = s.text("refused", `"40"`, 4)
	steps := s.sub("steps")
	for name, val := range steps.each {
		if len(l.d.steps) == maxNetworkSteps {
			l.fail(val.Line, "network.steps has more than %d steps; remove some", maxNetworkSteps)
			break
		}
		if name == "" || len(name) > 40 || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' }) {
			l.fail(val.Line, "network.steps: %q must be a name of a-z, 0-9 and _", name)
		}
		if one := l.section(val, steps.at(name)); one != nil {
			l.networkStep(one, name)
		}
	}
	l.d.connect, l.d.close = l.stepList(s, "connect"), l.stepList(s, "close")
	s.done()
}

func (l *loader) networkStep(one *section, name string) {
	st := &NetworkStep{Name: name, Code: one.text("code", `"301"`, 4)}
	by := one.oneOf("by", []string{"us", "bank", "any"})
	st.Ours, st.Theirs = by != 1, by != 0
	st.Effect = NetworkEffect(max(0, one.oneOf("effect", []string{"none", "sign_on", "sign_off", "cut_over", "take_key"})))
	if one.has("key") {
		st.Key = KeyPlace(max(0, one.oneOf("key", []string{"none", "request", "answer"})))
	}
	if one.has("done") {
		for _, item := range l.list(one.find("done"), one.at("done")) {
			st.done = append(st.done, item.Value)
		}
	}
	for op := OpSignOn; op <= OpEcho; op++ {
		if name == op.String() {
			l.d.network[op] = st.Code
		}
	}
	l.d.steps, l.stepParts = append(l.d.steps, st), append(l.stepParts, one)
}

// stepList reads names of steps that we start.
func (l *loader) stepList(s *section, key string) (out []*NetworkStep) {
	for _, item := range l.list(s.need(key, "[echo]"), s.pathOf(key)) {
		switch st := l.d.NetworkStep(item.Value); {
		case st == nil:
			l.fail(item.Line, "%s: %q is no step; write one of network.steps", s.pathOf(key), item.Value)
		case !st.Ours:
			l.fail(item.Line, "%s: %s is the bank's to start; write by: us or by: any there", s.pathOf(key), item.Value)
		case slices.Contains(out, st):
			l.fail(item.Line, "%s names %s twice; remove one", s.pathOf(key), item.Value)
		default:
			out = append(out, st)
		}
	}
	return out
}

// networkMessages completes the steps: each is the message of its name, or the one it is
// like, with its own type and fields in place of those.
func (l *loader) networkMessages() {
	for i, st := range l.d.steps {
		s := l.stepParts[i]
		like := OpEcho
		words := []string{OpSignOn.String(), OpSignOff.String(), OpEcho.String()}
		own := OpSignOn + Operation(slices.Index(words, st.Name))
		if own >= OpSignOn && l.d.Supports(own) {
			like = own
		}
		if s.has("like") {
			like = OpSignOn + Operation(max(0, s.oneOf("like", words)))
		}
		if !l.d.Supports(like) {
			s.fail("%s: there is no messages.%s that it could be like; write like: with another, or take the step away", s.path, like)
			continue
		}
		p := program{mti: l.d.requests[like].mti, steps: slices.Clone(l.d.requests[like].steps)}
		if s.has("mti") {
			p.mti = l.mti(s)
			if p.mti.Class() != 8 || !p.mti.ExpectsAnswer() || p.mti != p.mti.Normal() {
				l.fail(s.lineOf("mti"), "%s.mti must be a request or an advice of network management and no repeat, like 0800 or 0820", s.path)
			}
		}
		for _, field := range l.steps(s.optional("fields"), like) {
			p.steps = slices.DeleteFunc(p.steps, func(have step) bool { return have.field == field.field })
			p.steps = append(p.steps, field)
		}
		slices.SortFunc(p.steps, func(a, b step) int { return a.field - b.field })
		p.has = sourcesOf(p.steps)
		s.done()
		at := slices.IndexFunc(p.steps, func(one step) bool { return one.source == srcNetworkCode })
		if at < 0 {
			s.fail("%s: its message has no field {from: network_code}, by which the code is told; write it into messages.%s", s.path, like)
			continue
		}
		st.program, st.field = p, p.steps[at].field
		if _, broken := l.d.codec.fields[st.field].fit([]byte(st.Code), 0, srcNetworkCode); broken != ruleNone {
			l.fail(s.lineOf("code"), "%s: the code does not fit field %d: %s", s.path, st.field, ruleTexts[broken])
		}
		l.apart(i, s)
	}
}

// apart holds a step against those before it: a request must be one step only.
func (l *loader) apart(i int, s *section) {
	st := l.d.steps[i]
	for _, other := range l.d.steps[:i] {
		if other.Code == st.Code && other.program.mti == st.program.mti && (other.Ours && st.Ours || other.Theirs && st.Theirs) {
			l.fail(s.lineOf("code"), "%s has the type and code of network.steps.%s, and the same side may start both; write another code", s.path, other.Name)
		}
	}
}

// answeredSteps holds the steps to the answers and keys that they need.
func (l *loader) answeredSteps() {
	for i, st := range l.d.steps {
		s := l.stepParts[i]
		c := l.d.class(st.program.mti.Response())
		switch {
		case c == nil:
			s.fail("%s is answered by %s; write answers.%q", s.path, st.program.mti.Response(), st.program.mti.Response())
			continue
		case st.Key != KeyNowhere && l.d.exchange == nil:
			l.fail(s.lineOf("key"), "%s: the file says nothing of the key; write security.key_exchange", s.path)
		case st.Key != KeyNowhere && st.Ours && st.Theirs:
			l.fail(s.lineOf("by"), "%s: a step with a key has one side that starts it; write by: us or by: bank", s.path)
		}
		for _, field := range c.key {
			if !slices.ContainsFunc(st.program.steps, func(one step) bool { return one.field == field && !one.optional }) {
				s.fail("%s has no field %d that is always sent, but behaviour.match.%q needs it", s.path, field, c.mti.String())
			}
		}
	}
}

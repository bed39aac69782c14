package iso

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// ParseProfile reads a profile from the text of its file; name is for errors. What
// is wrong with the text gives a *LoadError, the first one in the file.
func ParseProfile(name string, text []byte) (*Profile, error) {
	p, problems := parseProfile(name, text)
	if len(problems) > 0 {
		return nil, problems[0]
	}
	return p, nil
}

// Bounds of a profile.
const (
	maxProfileList = 2000 // entries of a list
	maxChecklist   = 100
	maxTextBytes   = 800 // of one text in one language
)

// profileLoader turns the file's blocks into a Profile.
type profileLoader struct {
	reader
	p *Profile
}

func parseProfile(file string, text []byte) (*Profile, []*LoadError) {
	l := &profileLoader{reader: reader{file: file, profile: true}, p: PlainProfile("")}
	l.p.file = file
	top := l.section(l.document(text), "")
	l.meta(top.sub("meta"))
	l.p.Name, l.p.About = l.text(top.sub("name")), l.text(top.sub("about"))
	l.merchants(top)
	l.payments(top)
	l.operations(top.optional("operations"))
	l.day(top)
	l.fees(top.find("fees"))
	if s := top.optional("joining"); s != nil {
		l.joining(s)
	}
	top.done()
	slices.SortStableFunc(l.problems, func(a, b *LoadError) int { return a.Line - b.Line })
	l.problems = once(l.problems)
	l.p.compile()
	return l.p, l.problems
}

func (l *profileLoader) meta(s *section) {
	if n := s.number("schema", 1, 1<<20); n != schemaVersion && s != nil {
		l.fail(s.lineOf("schema"), "this program reads schema 1; write schema: 1")
	}
	l.p.ID = l.id(s, "alfa-moscow")
	l.p.Version = s.number("version", 1, 1<<20)
	s.done()
}

// id reads a short name.
func (l *profileLoader) id(s *section, example string) string {
	id := s.text("id", "a short name like "+example, 40)
	if strings.ContainsFunc(id, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) {
		l.fail(s.lineOf("id"), "%s may hold a-z, 0-9 and -; write it like %s", s.at("id"), example)
	}
	return id
}

// text reads a text in every language.
func (l *profileLoader) text(s *section) (t Text) {
	for _, language := range Languages() {
		*map[string]*string{"ru": &t.RU, "en": &t.EN, "es": &t.ES}[language] = s.text(language, `"one text for people"`, maxTextBytes)
	}
	s.done()
	return t
}

// words reads a list whose entries say is sure of, each once; hint says what to write.
func (l *profileLoader) words(s *section, key, hint string, sure func(word string) bool) (out []string) {
	n := s.find(key)
	items := l.list(n, s.pathOf(key))
	switch {
	case n != nil && n.Kind == yaml.SequenceNode && len(n.Content) == 0:
		l.fail(n.Line, "%s is an empty list; remove the key to take all", s.at(key))
	case len(items) > maxProfileList:
		l.fail(n.Line, "%s has more than %d entries; write ranges", s.at(key), maxProfileList)
		return nil
	}
	for _, item := range items {
		switch {
		case !sure(item.Value):
			l.fail(item.Line, "%s: %q is not known; write %s", s.at(key), item.Value, hint)
		case slices.Contains(out, item.Value):
			l.fail(item.Line, "%s names %s twice; remove one", s.at(key), item.Value)
		default:
			out = append(out, item.Value)
		}
	}
	return out
}

func closedList(known []string) (hint string, sure func(string) bool) {
	return strings.Join(known, " or "), func(word string) bool { return word != "" && slices.Contains(known, word) }
}

// merchants reads which merchants the bank takes.
func (l *profileLoader) merchants(top *section) {
	l.p.Countries = l.words(top, "countries", `ISO 3166 numeric codes like "643"`, func(word string) bool { return len(word) == 3 && allDigits(word) })
	if mcc := top.optional("mcc"); mcc != nil {
		const hint = `four digits like "5411", or a range like "5811-5814"`
		sure := func(word string) bool { _, _, ok := mccRange(word); return ok }
		l.p.MCC = MCCRule{Taken: l.words(mcc, "taken", hint, sure), Refused: l.words(mcc, "refused", hint, sure)}
		if mcc.has("taken") == mcc.has("refused") {
			mcc.fail("mcc has either taken, and all others are refused, or refused, and all others are taken; write one of them")
		}
		mcc.done()
	}
}

// mccRange reads "5411" or "5811-5814".
func mccRange(word string) (from, to int, ok bool) {
	first, last, ranged := strings.Cut(word, "-")
	if !ranged {
		last = first
	}
	if len(first) != 4 || len(last) != 4 || !allDigits(first) || !allDigits(last) {
		return 0, 0, false
	}
	from, _ = strconv.Atoi(first)
	to, _ = strconv.Atoi(last)
	return from, to, from < to || !ranged
}

// payments reads which payments the bank takes.
func (l *profileLoader) payments(top *section) {
	p := l.p
	p.Currencies = l.words(top, "currencies", "ISO 4217 codes like EUR", func(word string) bool { return factCurrency.knows(word) })
	if cards := top.optional("cards"); cards != nil {
		hint, sure := closedList(brandNames())
		p.Brands = l.words(cards, "brands", hint, sure)
		l.cards(cards)
		cards.done()
	}
	hint, sure := closedList(channelNames)
	for _, word := range l.words(top, "channels", hint, sure) {
		c, _ := ParseChannel(word)
		p.Channels = append(p.Channels, c)
	}
	hint, sure = closedList(credentialNames[1:])
	for _, word := range l.words(top, "credentials", hint, sure) {
		c, _ := ParseCredential(word)
		p.Credentials = append(p.Credentials, c)
	}
	if top.has("network_tokens") {
		p.NetworkTokens = top.flag("network_tokens")
	}
	if top.has("max_instalments") {
		p.MaxInstalments = top.number("max_instalments", 0, maxInstalments)
	}
	hint, sure = closedList(demandNames)
	for _, word := range l.words(top, "demands", hint, sure) {
		p.Demands = append(p.Demands, Demand(slices.Index(demandNames, word)))
	}
}

// brandNames are the brands that PAN.Brand tells apart, each once.
func brandNames() (names []string) {
	for _, r := range brandRanges {
		if !slices.Contains(names, r.brand) {
			names = append(names, r.brand)
		}
	}
	return names
}

// cards reads the ranges that are not taken.
func (l *profileLoader) cards(s *section) {
	for _, one := range l.sections(s.find("refused"), "cards.refused") {
		refusal := CardRefusal{Product: CardProduct(max(0, one.oneOf("product", productNames)))}
		one.need("bins", `["220000-220099"]`)
		refusal.Bins = l.words(one, "bins", `six to eight digits like "220220", or a range of equally long ones like "220000-220099"`,
			func(word string) bool { _, _, ok := binRange(word); return ok })
		l.p.Refused = append(l.p.Refused, refusal)
		one.done()
	}
}

// sections reads a list of mappings.
func (r *reader) sections(n *yaml.Node, path string) (out []*section) {
	switch {
	case n == nil:
		return nil
	case n.Kind != yaml.SequenceNode:
		r.fail(n.Line, "%s must be a list, written as - key: value", path)
		return nil
	case len(n.Content) > maxProfileList:
		r.fail(n.Line, "%s has more than %d entries", path, maxProfileList)
		return nil
	}
	for i, item := range n.Content {
		if one := r.section(item, path+"["+strconv.Itoa(i)+"]"); one != nil {
			out = append(out, one)
		}
	}
	return out
}

func (l *profileLoader) operations(s *section) {
	if s == nil {
		return
	}
	for _, op := range ProfileOperations() {
		n := s.find(op.String())
		if n == nil {
			continue
		}
		t := OperationTerms{Operation: op, line: n.Line}
		one := &section{r: &l.reader, path: s.at(op.String()), line: n.Line} // an operation without a word more is allowed in full
		if n.Tag != "!!null" {
			one = l.section(n, one.path)
		}
		l.terms(&t, one)
		l.p.Operations = append(l.p.Operations, t)
	}
	_, buys := l.p.Terms(OpPurchase)
	_, holds := l.p.Terms(OpAuthorization)
	_, captures := l.p.Terms(OpCapture)
	_, raises := l.p.Terms(OpIncrement)
	switch {
	case !buys && !holds:
		s.fail("operations needs purchase or authorization; write purchase: {}")
	case holds && !captures:
		s.fail("operations.authorization holds what only a capture takes; write capture: {}")
	case captures && !holds, raises && !holds:
		s.fail("operations: what is captured or raised was held before; write authorization: {}")
	}
	s.done()
}

// terms reads what is allowed of one operation: each has the keys of its own.
func (l *profileLoader) terms(t *OperationTerms, s *section) {
	if t.Operation != OpVerification && t.Operation != OpVoid {
		l.amounts(t, s.optional("amounts"))
	}
	switch t.Operation {
	case OpCapture:
		t.Several = !s.has("several") || s.flag("several")
		if s.has("over_percent") {
			t.OverPercent = s.number("over_percent", 0, 100)
		}
	case OpIncrement:
		t.Lengthens = s.optionalFlag("lengthens")
	case OpRefund:
		if s.has("days") {
			t.Days = s.number("days", 1, 3650)
		}
	}
	switch t.Operation {
	case OpCapture, OpVoid, OpRefund:
		t.Partial = !s.has("partial") || s.flag("partial")
		if !t.Partial && t.Operation == OpCapture && t.Several && s.has("several") {
			s.fail("%s: where no part can be captured there is one capture; write several: false", s.path)
		}
		t.Several = t.Several && t.Partial
	}
	s.done()
}

func (l *profileLoader) amounts(t *OperationTerms, s *section) {
	for alpha, val := range s.each {
		currency, err := ParseCurrency(alpha)
		if err != nil {
			l.fail(val.Line, "%s: %q is no currency of ISO 4217; write a code like EUR", s.path, alpha)
			continue
		}
		one := l.section(val, s.at(alpha))
		limit := AmountLimit{Currency: currency, From: 1, To: maxAmount}
		if one.has("from") {
			limit.From = int64(one.number("from", 1, maxAmount))
		}
		if one.has("to") {
			limit.To = int64(one.number("to", 1, maxAmount))
		}
		switch {
		case one == nil:
			continue
		case !one.has("from") && !one.has("to"):
			one.fail("%s says nothing; write from: 100, to: 60000000 or both, in minor units", one.path)
		case limit.From > limit.To:
			one.fail("%s: from is more than to; write the lower amount under from", one.path)
		}
		one.done()
		t.Amounts = append(t.Amounts, limit)
	}
}

// day reads how long the bank holds and when its day ends.
func (l *profileLoader) day(top *section) {
	if hold := top.optional("hold"); hold != nil {
		l.p.HoldDays = hold.number("days", 1, 60)
		hold.done()
	}
	day := top.optional("business_day")
	if day.has("cut_over") {
		text := day.text("cut_over", `"23:30"`, 5)
		clock, err := time.Parse("15:04", text)
		if err != nil && text != "" {
			l.fail(day.lineOf("cut_over"), "business_day.cut_over: %q is not a time of day; write it like \"23:30\"", text)
		}
		l.p.CutOver = time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute
	}
	if day.has("time_zone") {
		name := day.text("time_zone", "Europe/Moscow", 60)
		zone, err := time.LoadLocation(name)
		if err != nil || name == "Local" {
			l.fail(day.lineOf("time_zone"), "business_day.time_zone: %q is not a zone of the IANA list; write it like Europe/Moscow", name)
			zone = time.UTC
		}
		l.p.TimeZone = zone
	}
	day.done()
}

var percentText = regexp.MustCompile(`^\d{1,2}(\.\d{1,4})?$`)

func (l *profileLoader) fees(n *yaml.Node) {
	var chargeable []string
	for _, op := range ProfileOperations() {
		chargeable = append(chargeable, op.String())
	}
	chargeable = append(chargeable, otherFees...)
	for _, s := range l.sections(n, "fees") {
		var f Fee
		if i := s.oneOf("for", chargeable); i >= 0 {
			f.For = chargeable[i]
		}
		hint, sure := closedList(brandNames())
		f.Brands = l.words(s, "brands", hint, sure)
		if s.has("percent") {
			f.Percent = s.text("percent", `"1.9"`, 7)
			if !percentText.MatchString(f.Percent) {
				l.fail(s.lineOf("percent"), "%s: %q is not a percentage; write it like \"1.9\"", s.at("percent"), f.Percent)
			}
		}
		fixed := s.optional("fixed")
		for alpha := range fixed.each {
			currency, err := ParseCurrency(alpha)
			if err != nil {
				l.fail(fixed.lineOf(alpha), "%s: %q is no currency of ISO 4217; write a code like EUR", fixed.path, alpha)
				continue
			}
			f.Fixed = append(f.Fixed, FixedFee{currency, int64(fixed.number(alpha, 0, maxAmount))})
		}
		if t := s.optional("text"); t != nil {
			f.Text = l.text(t)
		}
		if !s.has("percent") && !s.has("fixed") && !s.has("text") {
			s.fail("%s says nothing; write percent, fixed or text", s.path)
		}
		s.done()
		l.p.Fees = append(l.p.Fees, f)
	}
}

func (l *profileLoader) joining(s *section) {
	j := &Joining{WorkingDays: s.number("working_days", 1, 250)}
	if j.ConnectionDays = 1; s.has("connection_days") {
		j.ConnectionDays = s.number("connection_days", 1, 30)
	}
	contract := s.sub("contract")
	j.Contract = Contract{Form: contractForms[max(0, contract.oneOf("form", contractForms))], Months: contract.number("months", 0, 120),
		Text: l.text(contract.sub("text"))}
	contract.done()
	list := s.need("requirements", "- id: ...")
	if list != nil && len(list.Content) > maxChecklist {
		l.fail(list.Line, "joining.requirements has more than %d entries", maxChecklist)
		return
	}
	for _, one := range l.sections(list, "joining.requirements") {
		r := Requirement{ID: l.id(one, "company-card"), Owner: requirementOwners[max(0, one.oneOf("owner", requirementOwners))],
			Kind: requirementKinds[max(0, one.oneOf("kind", requirementKinds))], WorkingDays: one.number("working_days", 0, 250),
			Text: l.text(one.sub("text"))}
		if slices.ContainsFunc(j.Requirements, func(other Requirement) bool { return other.ID == r.ID && r.ID != "" }) {
			l.fail(one.lineOf("id"), "%s: %q is used twice; give each requirement its own", one.at("id"), r.ID)
		}
		one.done()
		j.Requirements = append(j.Requirements, r)
	}
	s.done()
	l.p.Joining = j
}

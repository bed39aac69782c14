package iso

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"
)

//go:embed profiles/*.yaml
var profileFiles embed.FS

// Text is one text for people in the languages of the product.
type Text struct {
	RU string `json:"ru"`
	EN string `json:"en"`
	ES string `json:"es"`
}

// Languages are those of every Text, the one that stands for all others first.
func Languages() []string { return []string{"en", "ru", "es"} }

// In is the text in one of Languages; in English for any other.
func (t *Text) In(language string) string {
	switch language {
	case "ru":
		return t.RU
	case "es":
		return t.ES
	}
	return t.EN
}

// Profile is what one bank supports and what it demands, of payments and of the
// merchants that join it: a file of its own beside the dialect, which says how the
// bank is spoken to. It is read only; its methods are goroutine-safe, and those that
// payments are held to do not allocate. Lists that are empty allow all.
type Profile struct {
	ID      string
	Version int
	Name    Text
	About   Text

	Countries  []string // of merchants, ISO 3166 numeric
	Currencies []string // alphabetic, ISO 4217
	MCC        MCCRule
	Brands     []string // as PAN.Brand has them
	Refused    []CardRefusal
	Channels   []Channel
	// Credentials are the uses of stored credentials that the bank takes besides
	// CredentialNone.
	Credentials    []Credential
	NetworkTokens  bool
	MaxInstalments int // 0: no instalments
	Demands        []Demand

	Operations []OperationTerms // in the order of Operation; empty: all that the dialect has

	HoldDays int            // 1..60: after so many days a hold that was not captured is let go
	CutOver  time.Duration  // 0..24h: when on the clock of TimeZone the bank's business day ends
	TimeZone *time.Location // never nil

	Fees    []Fee
	Joining *Joining // nil: merchants cannot join the bank here

	file     string // it was read from
	compiled compiledProfile
}

// MCCRule says which merchant category codes (ISO 18245) a bank takes: those of
// Taken, or all but those of Refused. Entries are four digits, or two codes with a
// hyphen between. At most one of the lists is there.
type MCCRule struct {
	Taken, Refused []string
}

// CardRefusal are card ranges that a bank does not take.
type CardRefusal struct {
	Product CardProduct
	Bins    []string // six to eight digits, or two with a hyphen between
}

// CardProduct is what kind of cards a range holds.
type CardProduct uint8

// The products.
const (
	ProductCredit CardProduct = iota
	ProductDebit
	ProductPrepaid
	ProductPayroll
	ProductCommercial
	ProductGift
	ProductOther
)

var productNames = []string{"credit", "debit", "prepaid", "payroll", "commercial", "gift", "other"}

// String is the name the profile file and the API use.
func (p CardProduct) String() string { return wordOf(productNames, uint8(p)) }

// OperationTerms are what a bank allows of one operation. What an operation has
// no use for is the zero value.
type OperationTerms struct {
	Operation   Operation
	Amounts     []AmountLimit // empty: any amount
	Partial     bool          // capture, void, refund: a part is as good as the whole
	Several     bool          // capture: more than one of a hold
	OverPercent int           // capture: 0..100 percent more than the hold
	Lengthens   bool          // increment: a hold's days count from the last one
	Days        int           // refund: so long after the approval; 0: for ever

	line int // of the file
}

// AmountLimit bounds the amounts of one currency, in its minor units. It is
// checked for the currencies that are named and says nothing of others.
type AmountLimit struct {
	Currency Currency
	From, To int64
}

// Demand is what a request must carry for a bank to take it. Each speaks of
// purchases and authorizations only.
type Demand uint8

// The demands.
const (
	DemandThreeDS              Demand = iota // the result of 3-D Secure, where the payer himself pays over the internet
	DemandCVC                                // the verification code, where the payer himself enters the card on the internet
	DemandEmail                              // the payer's address
	DemandOrder                              // the merchant's order number
	DemandDescription                        // what is paid for
	DemandNetworkTransactionID               // of the first payment by the stored card, where the payer takes no part
)

var demandNames = []string{"three_ds", "cvc", "customer_email", "order_id", "description", "network_transaction_id"}

// String is the name the profile file and the API use.
func (d Demand) String() string { return wordOf(demandNames, uint8(d)) }

// DemandSet is a set of demands.
type DemandSet uint8

// With is the set and one demand more.
func (s DemandSet) With(d Demand) DemandSet { return s | 1<<d }

// Fee is what the bank takes for something. Nothing is computed from it.
type Fee struct {
	For     string   // an operation, or month or joining
	Brands  []string // empty: of all
	Percent string   // decimal, like 1.9; empty: none
	Fixed   []FixedFee
	Text    Text // empty: nothing more to say
}

// FixedFee is a fee in minor units.
type FixedFee struct {
	Currency Currency
	Amount   int64
}

// Joining is how a merchant comes to the bank.
type Joining struct {
	Contract    Contract
	WorkingDays int // from the application to the first payment, as a rule
	// ConnectionDays are working days for the technical connection, once all else is done.
	ConnectionDays int
	Requirements   []Requirement
}

// Contract is what a merchant and the bank agree on.
type Contract struct {
	Form   string // accession to published terms, bilateral, or trilateral with the house that runs the switch
	Months int    // 0: without an end
	Text   Text
}

// Requirement is one item of the bank's checklist.
type Requirement struct {
	ID          string // unique in its profile: a-z, 0-9 and -
	Owner       string // who acts: merchant, bank or us
	Kind        string // document, field or check
	WorkingDays int    // that it takes, as a rule
	Text        Text
}

// The closed lists of a Joining.
var (
	contractForms     = []string{"accession", "bilateral", "trilateral"}
	requirementOwners = []string{"merchant", "bank", "us"}
	requirementKinds  = []string{"document", "field", "check"}
	otherFees         = []string{"month", "joining"}
)

// ProfileOperations are the operations a profile may speak of, in the order of
// their numbers.
func ProfileOperations() []Operation {
	return []Operation{OpPurchase, OpAuthorization, OpCapture, OpVoid, OpRefund, OpIncrement, OpPayout, OpVerification}
}

const defaultHoldDays = 7

// PlainProfile is that of a bank without a file: it takes whatever its dialect can
// say, holds for seven days, and its day ends at midnight UTC.
func PlainProfile(id string) *Profile {
	p := &Profile{ID: id, Name: Text{id, id, id}, NetworkTokens: true, MaxInstalments: maxInstalments, HoldDays: defaultHoldDays, TimeZone: time.UTC}
	p.compile()
	return p
}

const maxInstalments = 99

// Terms are what the bank allows of an operation; ok is false when it does not
// do it. A profile without a list of operations allows each in full.
func (p *Profile) Terms(op Operation) (t OperationTerms, ok bool) {
	if len(p.Operations) == 0 {
		return OperationTerms{Operation: op, Partial: true, Several: true}, slices.Contains(ProfileOperations(), op)
	}
	for _, t := range p.Operations {
		if t.Operation == op {
			return t, true
		}
	}
	return OperationTerms{}, false
}

// Fits gives a *LoadError for an operation that the profile speaks of and the dialect
// has no message for. A capture needs none: where there is none the bank captures by
// itself.
func (p *Profile) Fits(d *Dialect) error {
	if wrong := p.unspoken(d); len(wrong) > 0 {
		return wrong[0]
	}
	return nil
}

// unspoken are the operations that the dialect has no message for.
func (p *Profile) unspoken(d *Dialect) (wrong []*LoadError) {
	for _, t := range p.Operations {
		if t.Operation != OpCapture && !d.Supports(t.Operation) {
			wrong = append(wrong, &LoadError{File: p.file, Line: t.line,
				Text: fmt.Sprintf("operations.%s: dialect %s has no such message; remove it", t.Operation, d.ID())})
		}
	}
	return wrong
}

// FieldDemand is a rule of a dialect for one field of a message.
type FieldDemand struct {
	Operation Operation
	Field     int
	Name      string
	Rule      string
}

// FieldDemands are the rules by which the dialect refuses a message before it is sent,
// in the order of the operations.
func (d *Dialect) FieldDemands() (out []FieldDemand) {
	for op := OpPurchase; op < opCount; op++ {
		for _, rule := range d.requests[op].demands {
			text, _, _ := strings.Cut(rule.fault.Rule, ", by a rule")
			out = append(out, FieldDemand{Operation: op, Field: rule.field, Name: d.FieldName(rule.field), Rule: text})
		}
	}
	return out
}

var profileNames = embeddedNames(profileFiles, "profiles")

// BuiltinProfiles lists the names of the profiles that come with the program.
func BuiltinProfiles() []string { return slices.Clone(profileNames) }

// ResolveProfile returns the built-in profile of that name, else reads the file.
// A file that is wrong gives a *LoadError.
func ResolveProfile(nameOrPath string) (*Profile, error) {
	path, text, err := profileText(nameOrPath)
	if err != nil {
		return nil, err
	}
	return ParseProfile(path, text)
}

// profileText finds a profile's text, and the name of it for errors.
func profileText(nameOrPath string) (path string, text []byte, err error) {
	switch {
	case slices.Contains(profileNames, nameOrPath):
		path = nameOrPath + ".yaml"
		text, err = profileFiles.ReadFile("profiles/" + path)
		return path, text, err
	case !strings.ContainsAny(nameOrPath, "./\\"):
		return "", nil, noProfile(nameOrPath)
	}
	text, err = readFile(nameOrPath)
	return nameOrPath, text, err
}

// BuiltinProfileFile returns the text of a built-in profile.
func BuiltinProfileFile(name string) ([]byte, error) {
	if !slices.Contains(profileNames, name) {
		return nil, noProfile(name)
	}
	_, text, err := profileText(name)
	return text, err
}

func noProfile(name string) error {
	return fmt.Errorf("iso: no built-in profile %q; there are %s", name, strings.Join(profileNames, ", "))
}

// LintProfile lists everything that is wrong with a profile, built in or a file, for
// a bank of a dialect; nil: of any. The error is about reading it.
func LintProfile(nameOrPath string, d *Dialect) ([]Problem, error) {
	path, text, err := profileText(nameOrPath)
	if err != nil {
		return problemOf(err)
	}
	p, wrong := parseProfile(path, text)
	if d != nil && len(wrong) == 0 {
		wrong = p.unspoken(d)
	}
	var out []Problem
	for _, w := range wrong {
		out = append(out, Problem{File: w.File, Line: w.Line, Text: w.Text})
	}
	return out, nil
}

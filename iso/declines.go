package iso

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.yaml.in/yaml/v3"
)

// DeclineReason is one entry of the catalogue of declines, iso/declines.yaml:
// what one reason means to the merchant, to the payer and to further attempts.
// It is read only.
type DeclineReason struct {
	Code       string
	BySwitch   bool         // the switch says it itself; else a dialect may name it
	Retry      string       // never, later or with_changes: the usual answer
	Stops      DeclineStops // with Retry never: whose further attempts are refused
	BlocksCard bool         // the card itself is dead
	Meaning    string       // one sentence
	Advice     string       // to the merchant
	Buyer      BuyerMessage // to the payer
}

// BuyerMessage tells the payer what to do, in three languages. It never says
// that a card is lost, stolen or suspected.
type BuyerMessage struct {
	RU string `yaml:"ru"`
	EN string `yaml:"en"`
	ES string `yaml:"es"`
}

// DeclineStops says whose further attempts a final decline forbids.
type DeclineStops uint8

// The reaches of a final decline.
const (
	StopsNone              DeclineStops = iota
	StopsMerchantInitiated              // those the payer takes no part in
	StopsCard                           // every one with the card
)

var stopNames = [...]string{"", "merchant_initiated", "card"}

// String is the word of the catalogue, empty for StopsNone.
func (s DeclineStops) String() string {
	if int(s) >= len(stopNames) {
		return "unknown"
	}
	return stopNames[s]
}

// DeclineCatalogue is the list of all reasons. It is immutable; its methods are
// goroutine-safe.
type DeclineCatalogue struct {
	version int
	codes   map[string]*DeclineReason
	sorted  []*DeclineReason
}

//go:embed declines.yaml
var declinesFile []byte

// Declines is the catalogue that comes with the program.
var Declines = sync.OnceValue(func() *DeclineCatalogue {
	c, err := parseDeclines("declines.yaml", declinesFile)
	if err != nil {
		panic(err) // the file is part of the program, and every test reads it
	}
	return c
})

// Version grows with every change of a text.
func (c *DeclineCatalogue) Version() int { return c.version }

// Find gives the entry of a code; nil: the catalogue does not have it.
func (c *DeclineCatalogue) Find(code string) *DeclineReason { return c.codes[code] }

// All lists the entries in the order of their codes.
func (c *DeclineCatalogue) All() []*DeclineReason { return slices.Clone(c.sorted) }

// bankCodes are the codes that a dialect may name, sorted.
func (c *DeclineCatalogue) bankCodes() (codes []string) {
	for _, reason := range c.sorted {
		if !reason.BySwitch {
			codes = append(codes, reason.Code)
		}
	}
	return codes
}

// DeclineCodes lists the reasons a dialect may give a declining code, sorted.
func DeclineCodes() []string { return Declines().bankCodes() }

type declineEntry struct {
	GivenBy    string       `yaml:"given_by"`
	Retry      string       `yaml:"retry"`
	Stops      string       `yaml:"stops"`
	BlocksCard bool         `yaml:"blocks_card"`
	Meaning    string       `yaml:"meaning"`
	Advice     string       `yaml:"advice"`
	Buyer      BuyerMessage `yaml:"buyer"`
}

// parseDeclines reads a catalogue. Errors name the file and the line or the code.
func parseDeclines(name string, text []byte) (*DeclineCatalogue, error) {
	var file struct {
		Version int                     `yaml:"version"`
		Codes   map[string]declineEntry `yaml:"codes"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if file.Version < 1 || len(file.Codes) == 0 {
		return nil, fmt.Errorf("%s: needs a version from 1 and codes", name)
	}
	c := &DeclineCatalogue{version: file.Version, codes: map[string]*DeclineReason{}}
	for _, code := range slices.Sorted(maps.Keys(file.Codes)) {
		e := file.Codes[code]
		if what := e.fault(); what != "" {
			return nil, fmt.Errorf("%s: codes.%s: %s", name, code, what)
		}
		reason := &DeclineReason{
			Code: code, BySwitch: e.GivenBy == "switch", Retry: e.Retry, Stops: DeclineStops(slices.Index(stopNames[:], e.Stops)),
			BlocksCard: e.BlocksCard, Meaning: e.Meaning, Advice: e.Advice, Buyer: e.Buyer,
		}
		c.codes[code], c.sorted = reason, append(c.sorted, reason)
	}
	return c, nil
}

// fault says what is wrong with an entry, or nothing.
func (e *declineEntry) fault() string {
	switch {
	case e.GivenBy != "bank" && e.GivenBy != "switch":
		return "given_by must be bank or switch"
	case !slices.Contains(retryAdvice, e.Retry):
		return "retry must be never, later or with_changes"
	case !slices.Contains(stopNames[:], e.Stops):
		return "stops must be card or merchant_initiated, or be left out"
	}
	for _, text := range []string{e.Meaning, e.Advice, e.Buyer.RU, e.Buyer.EN, e.Buyer.ES} {
		if text == "" || len(text) > maxDeclineText {
			return fmt.Sprintf("meaning, advice and the buyer's three texts must have 1 to %d bytes", maxDeclineText)
		}
	}
	return ""
}

// maxDeclineText bounds a text of the catalogue: they stand in every declined answer.
const maxDeclineText = 400

package isoload

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

// HostOptions say what a host answers.
type HostOptions struct {
	// Dialect is the language of every link. Required.
	Dialect *iso.Dialect
	// Keys are those that the dialect names, in clear.
	Keys iso.ClearKeys
	// Listen is host:port; port 0 picks a free one. Default 127.0.0.1:0.
	Listen string
	// Delay before every answer.
	Delay time.Duration
	// Codes are response codes and their weights for purchases and authorizations,
	// like "00=95,51=5". Default: all are approved, but for the test cards.
	Codes string
	// Books is the address of the books' HTTP port; empty: none.
	Books string
}

// NewHost is a simulated bank that answers with a mix of codes and asks for no
// sign-on. It keeps books, about 150 bytes a message, so that what it took can be
// held against what the load saw; they cost a small part of an answer. Start it,
// close it.
func NewHost(o HostOptions) (*banksim.Bank, error) {
	c := banksim.Config{Dialect: o.Dialect, Keys: o.Keys, Listen: o.Listen, Delay: o.Delay, BooksListen: o.Books, AllowBeforeSignOn: true}
	if o.Codes != "" {
		codes, err := parseCodes(o.Codes)
		if err != nil {
			return nil, err
		}
		c.Script = func(a *banksim.Ask, p *banksim.Plan) {
			if class := a.Message.MTI.Class(); class == 1 || class == 2 {
				p.Code = codes[rand.IntN(len(codes))]
			}
		}
	}
	return banksim.New(c)
}

const maxCodeWeights = 100_000

// parseCodes spreads the codes by their weights over a list to draw from.
func parseCodes(text string) ([]string, error) {
	weights, err := parseWeights(text)
	if err != nil {
		return nil, fmt.Errorf("codes: %w", err)
	}
	var out []string
	for _, w := range weights {
		if len(w.name) != 2 && len(w.name) != 3 {
			return nil, fmt.Errorf("codes: %q is not a response code of two or three characters", w.name)
		}
		if len(out)+w.weight > maxCodeWeights {
			return nil, fmt.Errorf("codes: the weights together must be 1..%d", maxCodeWeights)
		}
		for range w.weight {
			out = append(out, w.name)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("codes: the weights together must be 1..%d", maxCodeWeights)
	}
	return out, nil
}

package plain

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/moov-io/iso8583"
	connection "github.com/moov-io/iso8583-connection"
	"github.com/moov-io/iso8583/network"

	"github.com/tranzit/tranzit/iso"
)

// bank is iso8583-connection's pool of links to one host. Goroutine-safe.
type bank struct {
	pool *connection.Pool
	spec *iso8583.MessageSpec
	next func() uint64 // numbers for sign-on messages
}

// bankAnswer is what the bank said.
type bankAnswer struct{ code, approval string }

var errOtherAnswer = errors.New("the answer is not that of the request")

// framing reads and writes the length before each message.
type framing struct {
	read  connection.MessageLengthReader
	write connection.MessageLengthWriter
}

// framings are those of the two dialects the stack speaks, by the library.
var framings = map[string]*framing{
	"ascii87": {
		read: func(r io.Reader) (int, error) {
			h := network.NewASCII4BytesHeader()
			_, err := h.ReadFrom(r)
			return h.Length(), err
		},
		write: func(w io.Writer, n int) (int, error) {
			h := network.NewASCII4BytesHeader()
			h.SetLength(n)
			return h.WriteTo(w)
		},
	},
	"binary87": {
		read: func(r io.Reader) (int, error) {
			h := network.NewBinary2BytesHeader()
			_, err := h.ReadFrom(r)
			return h.Length(), err
		},
		write: func(w io.Writer, n int) (int, error) {
			h := network.NewBinary2BytesHeader()
			if err := h.SetLength(n); err != nil {
				return 0, err
			}
			return h.WriteTo(w)
		},
	},
}

// dialBank opens and signs on every link.
func dialBank(o *Options, next func() uint64) (*bank, error) {
	d, err := iso.Builtin(o.Dialect)
	if err != nil {
		return nil, err
	}
	b := &bank{spec: d.Spec(), next: next}
	framing := framings[o.Dialect]
	factory := func(addr string) (*connection.Connection, error) {
		return connection.New(addr, b.spec, framing.read, framing.write, connection.SendTimeout(o.Timeout), connection.OnConnect(b.signOn))
	}
	b.pool, err = connection.NewPool(factory, slices.Repeat([]string{o.Bank}, o.Links), connection.PoolMinConnections(o.Links))
	if err != nil {
		return nil, err
	}
	return b, b.pool.Connect()
}

// fields are a message's fields by number.
type fields map[int]string

func (b *bank) message(mti string, f fields) (*iso8583.Message, error) {
	m := iso8583.NewMessage(b.spec)
	m.MTI(mti)
	for number, value := range f {
		if err := m.Field(number, value); err != nil {
			return nil, fmt.Errorf("field %d cannot be set", number)
		}
	}
	return m, nil
}

func (b *bank) signOn(c *connection.Connection) error {
	m, err := b.message("0800", fields{7: time.Now().UTC().Format("0102150405"), 11: fmt.Sprintf("%06d", b.next()%999_999+1), 70: "001"})
	if err != nil {
		return err
	}
	answer, err := c.Send(m)
	if err != nil {
		return err
	}
	if code, err := answer.GetString(39); err != nil || code != "00" {
		return errors.New("the bank refused the sign-on")
	}
	return nil
}

// purchase asks for a payment on one link and waits for the answer. An error
// does not say whether the bank has the request: the library does not tell.
func (b *bank) purchase(c *connection.Connection, r *request, p *payment, now time.Time) (*bankAnswer, error) {
	card := &r.PaymentMethod.Card
	f := fields{
		2: card.Number, 3: "000000", 4: fmt.Sprintf("%012d", r.Amount), 7: now.UTC().Format("0102150405"), 11: p.STAN,
		12: now.Format("150405"), 13: now.Format("0102"), 14: fmt.Sprintf("%02d%02d", card.ExpYear%100, card.ExpMonth),
		18: "5411", 22: "812", 25: "59", 32: "123456", 37: p.RRN, 41: "TERM0001", 42: "MERCHANT0000001",
		43: "BENCH SHOP            BERLIN       BE DE", 49: r.currency.Numeric(),
	}
	if card.CVC != "" {
		f[48] = fmt.Sprintf("92%03d%s", len(card.CVC), card.CVC)
	}
	m, err := b.message("0200", f)
	if err != nil {
		return nil, err
	}
	answer, err := c.Send(m)
	if err != nil {
		return nil, err
	}
	for _, number := range []int{4, 11, 37, 41, 49} {
		if value, err := answer.GetString(number); err != nil || value != f[number] {
			return nil, errOtherAnswer
		}
	}
	a := new(bankAnswer)
	if a.code, err = answer.GetString(39); err != nil || a.code == "" {
		return nil, errOtherAnswer
	}
	if a.approval, err = answer.GetString(38); err != nil {
		return nil, errOtherAnswer
	}
	return a, nil
}

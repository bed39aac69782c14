package banksim

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/tranzit/tranzit/iso"
)

const approveCard = "4111111111111111"

// generic87 are the dialects that have every operation and the codes of the 1987
// edition.
var generic87 = []string{"ascii87", "binary87"}

// dialect returns a built-in dialect.
func dialect(tb testing.TB, name string) *iso.Dialect {
	tb.Helper()
	d, err := iso.Builtin(name)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// start runs a bank until the test ends.
func start(tb testing.TB, cfg Config) *Bank {
	tb.Helper()
	if cfg.Dialect == nil {
		cfg.Dialect = dialect(tb, "ascii87")
	}
	b, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if err := b.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Error(err)
		}
	})
	return b
}

// client is a plain switch side: it sends what it is told and reads frames.
type client struct {
	tb   testing.TB
	d    *iso.Dialect
	conn net.Conn
	buf  []byte
	stan iso.STAN
}

func dial(tb testing.TB, b *Bank) *client {
	tb.Helper()
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		tb.Fatal(err)
	}
	return newClient(tb, b.cfg.Dialect, conn)
}

func newClient(tb testing.TB, d *iso.Dialect, conn net.Conn) *client {
	c := &client{tb: tb, d: d, conn: conn}
	tb.Cleanup(func() { _ = conn.Close() })
	return c
}

// signedOn dials and signs on.
func signedOn(tb testing.TB, b *Bank) *client {
	tb.Helper()
	c := dial(tb, b)
	c.signOn()
	return c
}

func (c *client) signOn() {
	c.tb.Helper()
	if got := c.ask(c.network(iso.OpSignOn)); !c.d.NetworkDone(code(got)) {
		c.tb.Fatalf("sign-on answered %q", code(got))
	}
}

var sentAt = time.Date(2026, 6, 12, 8, 20, 1, 0, time.UTC)

func (c *client) values(card string, amount int64) iso.Values {
	pan, err := iso.ParsePAN([]byte(card))
	if err != nil {
		c.tb.Fatal(err)
	}
	eur, err := iso.ParseCurrency("EUR")
	if err != nil {
		c.tb.Fatal(err)
	}
	c.stan++
	return iso.Values{PAN: pan, Expiry: iso.Expiry{Year: 2030, Month: 12}, Amount: amount, Currency: eur, STAN: c.stan,
		RRN: "616308" + c.stan.String(), SentAt: sentAt, LocalAt: sentAt, Terminal: "TERM0001", Merchant: "MERCHANT0000001",
		MCC: "5411", NameLocation: "DEMO SHOP", Country: "276", Acquirer: "123456"}
}

func (c *client) build(op iso.Operation, v iso.Values) *iso.Message {
	c.tb.Helper()
	m := new(iso.Message)
	if err := c.d.Build(op, &v, m); err != nil {
		c.tb.Fatal(err)
	}
	return m
}

func (c *client) network(op iso.Operation) *iso.Message {
	c.stan++
	return c.build(op, iso.Values{STAN: c.stan, SentAt: sentAt, LocalAt: sentAt, Acquirer: "123456"})
}

// purchase is a new purchase; its reversal comes with it.
func (c *client) purchase(card string, amount int64) (request, reversal *iso.Message) {
	c.tb.Helper()
	v := c.values(card, amount)
	request = c.build(iso.OpPurchase, v)
	v.Original = iso.Original{MTI: request.MTI, STAN: v.STAN, SentAt: v.SentAt, Acquirer: v.Acquirer}
	c.stan++
	v.STAN, v.SentAt, v.Reason = c.stan, sentAt.Add(time.Minute), iso.ReasonTimeout
	return request, c.build(iso.OpReversal, v)
}

func (c *client) repeat(m *iso.Message) *iso.Message {
	r := new(iso.Message)
	r.CopyFrom(m)
	c.d.BuildRepeat(r)
	return r
}

func (c *client) frame(m *iso.Message) []byte {
	c.tb.Helper()
	f, err := c.d.AppendFrame(nil, m)
	if err != nil {
		c.tb.Fatal(err)
	}
	return f
}

func (c *client) send(m *iso.Message) {
	c.tb.Helper()
	if _, err := c.conn.Write(c.frame(m)); err != nil {
		c.tb.Fatal(err)
	}
}

// next reads one frame's body; err is io.EOF when the bank closed the link.
func (c *client) next(wait time.Duration) ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		c.tb.Fatal(err)
	}
	var chunk [4096]byte
	for {
		body, n, err := c.d.NextFrame(c.buf)
		if err != nil {
			c.tb.Fatal(err)
		}
		if n > 0 {
			body = bytes.Clone(body)
			c.buf = c.buf[n:]
			return body, nil
		}
		got, err := c.conn.Read(chunk[:])
		c.buf = append(c.buf, chunk[:got]...)
		if err != nil && got == 0 {
			return nil, err
		}
	}
}

func (c *client) receive() *iso.Message {
	c.tb.Helper()
	return c.receiveWithin(10 * time.Second)
}

func (c *client) receiveWithin(wait time.Duration) *iso.Message {
	c.tb.Helper()
	body, err := c.next(wait)
	if err != nil {
		c.tb.Fatalf("no answer: %v", err)
	}
	m := new(iso.Message)
	if err := c.d.Decode(body, m); err != nil {
		c.tb.Fatalf("the answer cannot be read: %v", err)
	}
	return m
}

func (c *client) ask(m *iso.Message) *iso.Message {
	c.tb.Helper()
	c.send(m)
	return c.receive()
}

// silent proves that nothing was answered before an echo's answer, which
// therefore is the next frame.
func (c *client) silent() {
	c.tb.Helper()
	if got := c.ask(c.network(iso.OpEcho)); got.MTI.Class() != 8 {
		c.tb.Fatalf("an answer %v came where none was due", got.MTI)
	}
}

// isCut proves that the bank cut the link, after so many bytes or any (-1).
func (c *client) isCut() (left int) {
	c.tb.Helper()
	_, err := c.next(10 * time.Second)
	if errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
		c.tb.Fatalf("the link was not cut: %v", err)
	}
	if !errors.Is(err, io.EOF) {
		c.tb.Logf("cut by %T", err)
	}
	return len(c.buf)
}

// says reports whether an answer has the dialect's word for a code of the 1987
// edition.
func (c *client) says(m *iso.Message, common string) bool {
	return code(m) == c.d.CodeLike(m.MTI, common)
}

func code(m *iso.Message) string { return string(m.Get(39)) }

// only is the one entry of the bank's books with the message's RRN.
func only(tb testing.TB, b *Bank, m *iso.Message) Entry {
	tb.Helper()
	found := b.Books().ByRRN(string(m.Get(37)))
	if len(found) != 1 {
		tb.Fatalf("%d entries for one identity: %+v", len(found), found)
	}
	return found[0]
}

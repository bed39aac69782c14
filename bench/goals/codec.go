package goals

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/moov-io/iso8583"

	"github.com/tranzit/tranzit/bench/report"
	"github.com/tranzit/tranzit/iso"
)

// codecTurns is how often each codec is measured; the fastest counts, for noise
// only adds.
const codecTurns = 2

// codec measures one real authorization in both codecs, in turns.
func (s *survey) codec(context.Context) error {
	d, m, body, err := authorization()
	if err != nil {
		return err
	}
	var ours, moovs testing.BenchmarkResult
	for i := range codecTurns {
		a, b := testing.Benchmark(func(b *testing.B) { oursOnce(b, d, m) }), testing.Benchmark(func(b *testing.B) { moovOnce(b, d, m) })
		if a.N == 0 || b.N == 0 {
			return errors.New("a codec failed on its own message")
		}
		if i == 0 || perRun(a) < perRun(ours) {
			ours = a
		}
		if i == 0 || perRun(b) < perRun(moovs) {
			moovs = b
		}
	}
	s.found(codecTime, perRun(ours)/1e3, "")
	s.found(codecAllocs, float64(ours.AllocsPerOp()), "")
	s.found(codecToMoov, perRun(moovs)/perRun(ours), "")
	s.note(codecTime, "%s, %d fields, %d bytes", d.ID(), fieldsOf(m), len(body))
	s.note(codecToMoov, "moov %s, %d allocations", report.FormatMicros(perRun(moovs)/1e3), moovs.AllocsPerOp())
	fmt.Fprintf(s.Progress, "codec %.0f ns, moov %.0f ns\n", perRun(ours), perRun(moovs))
	return nil
}

// perRun is in nanoseconds.
func perRun(r testing.BenchmarkResult) float64 { return float64(r.T) / float64(r.N) }

// fieldsOf counts the type and the bitmap too.
func fieldsOf(m *iso.Message) int {
	n := 2
	for range m.Fields {
		n++
	}
	return n
}

// authorization is what most merchants send: 19 fields with the type and the bitmap,
// 181 bytes.
func authorization() (d *iso.Dialect, m *iso.Message, body []byte, err error) {
	if d, err = iso.Builtin("ascii87"); err != nil {
		return nil, nil, nil, err
	}
	pan, err := iso.ParsePAN([]byte("4111111111111111"))
	if err != nil {
		return nil, nil, nil, err
	}
	currency, err := iso.ParseCurrency("EUR")
	if err != nil {
		return nil, nil, nil, err
	}
	at := time.Date(2026, 6, 12, 8, 20, 1, 0, time.UTC)
	m = new(iso.Message)
	err = d.Build(iso.OpAuthorization, &iso.Values{PAN: pan, Expiry: iso.Expiry{Year: 2030, Month: 12}, Amount: 12500, Currency: currency, STAN: 123,
		RRN: "616308000123", SentAt: at, LocalAt: at.Add(2 * time.Hour), Terminal: "TERM0001", Merchant: "MERCHANT0000001", MCC: "5411",
		NameLocation: "DEMO SHOP 1           BERLIN       BE DE", Acquirer: "123456"}, m)
	if err == nil {
		body, err = d.AppendBody(nil, m)
	}
	return d, m, body, err
}

// oursOnce encodes and decodes the message b.N times.
func oursOnce(b *testing.B, d *iso.Dialect, m *iso.Message) {
	var back iso.Message
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		out, err := d.AppendBody(buf, m)
		if err != nil || d.Decode(out, &back) != nil {
			b.FailNow()
		}
	}
}

// moovOnce does the same with moov's codec and the same specification.
func moovOnce(b *testing.B, d *iso.Dialect, m *iso.Message) {
	spec := d.Spec()
	b.ReportAllocs()
	for b.Loop() {
		write := iso8583.NewMessage(spec)
		write.MTI(m.MTI.String())
		for f, value := range m.Fields {
			if write.BinaryField(f, value) != nil {
				b.FailNow()
			}
		}
		out, err := write.Pack()
		if err != nil || iso8583.NewMessage(spec).Unpack(out) != nil {
			b.FailNow()
		}
	}
}

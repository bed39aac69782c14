package frontend

import (
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	payswitch "github.com/tranzit/tranzit/switch"
)

// BenchmarkCreatePayment is what the frontend itself costs a payment: the
// whole handler, from the request as fasthttp has parsed it to the answer as
// fasthttp will write it, with the call of the switch's Pay left out. The
// switch's own Authenticate and Fingerprint are in it.
func BenchmarkCreatePayment(b *testing.B) {
	for _, bb := range []struct{ name, body string }{{"lean", leanBody}, {"full", exampleBody}} {
		b.Run(bb.name, func(b *testing.B) {
			s, err := New(Options{Switch: newTestSwitch(b), Logger: slog.New(slog.DiscardHandler)})
			must(b, err)
			answer := payswitch.Answer{Payment: samplePayment()}
			ctx := contextOf(b)
			fillPayment(&ctx.Request)
			body := []byte(bb.body)
			b.ReportAllocs()
			for b.Loop() {
				ctx.Request.SetBody(body)
				ctx.Response.Reset()
				c := s.calls.Get().(*call)
				c.begin(s, ctx, time.Now())
				c.route = s.routes.payments
				if !c.authenticate() || !c.withinQuota() || !c.readPayment() {
					b.Fatal(string(ctx.Response.Body()))
				}
				c.writePayment(&answer)
				c.end()
			}
		})
	}
}

// contextOf is a request's context on a real connection, whose deadlines
// cost what they cost.
func contextOf(t testing.TB) *fasthttp.RequestCtx {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	nc, err := net.Dial("tcp", ln.Addr().String())
	must(t, err)
	t.Cleanup(func() { nc.Close(); ln.Close() })
	ctx := new(fasthttp.RequestCtx)
	ctx.Init2(nc, nil, false)
	return ctx
}

// fillPayment is a payment's head as it comes from a shop.
func fillPayment(req *fasthttp.Request) {
	req.Header.SetMethod("POST")
	req.SetRequestURI("/v1/payments")
	req.Header.SetContentType("application/json")
	req.Header.Set("Authorization", "Bearer "+keyTest)
	req.Header.Set("Idempotency-Key", "8e03978e-40d5-43e8-bc93-6894a57f9324")
}

// BenchmarkHandlerParts splits the handler.
func BenchmarkHandlerParts(b *testing.B) {
	s, err := New(Options{Switch: newTestSwitch(b), Logger: slog.New(slog.DiscardHandler)})
	must(b, err)
	b.Run("authenticate", func(b *testing.B) {
		key := []byte(keyTest)
		for b.Loop() {
			s.sw.Authenticate(key)
		}
	})
	b.Run("fingerprint", func(b *testing.B) {
		body := []byte(leanBody)
		for b.Loop() {
			s.sw.Fingerprint("POST", "/v1/payments", body)
		}
	})
	b.Run("request id", func(b *testing.B) {
		var buf [requestIDLen]byte
		for b.Loop() {
			newRequestID(buf[:0], testNow)
		}
	})
	b.Run("write", func(b *testing.B) {
		answer := payswitch.Answer{Payment: samplePayment()}
		ctx := contextOf(b)
		b.ReportAllocs()
		for b.Loop() {
			ctx.Response.Reset()
			c := s.calls.Get().(*call)
			c.begin(s, ctx, time.Now())
			c.writePayment(&answer)
			c.end()
		}
	})
	b.Run("problem", func(b *testing.B) {
		p := problem{kind: problemInvalid, detail: "x", faults: []fault{{"/amount", "required", "This member is required."}}}
		var buf []byte
		for b.Loop() {
			buf = appendProblem(buf[:0], &p, []byte("req_x"))
		}
	})
}

// BenchmarkOverTheWire is one payment from a client on loopback through the
// real switch, a store in memory and a simulated bank.
func BenchmarkOverTheWire(b *testing.B) {
	s := openShop(b, func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) })
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if r := s.pay(fmt.Sprintf("bench-%d", i), leanBody); r.status != 201 {
			b.Fatal(r.body)
		}
	}
}

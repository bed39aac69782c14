package frontend

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// noiseClass names what fasthttp complains about. Its texts quote the bytes of
// requests, card numbers among them, so they are never printed.
type noiseClass uint8

const (
	noiseConnection noiseClass = iota // serving a connection ended with an error
	noiseAccept
	noiseOverflow
	noiseTimeout
	noiseHead
	noiseBody
	noiseTooLarge
	noisePanic
	noiseOverdue
	noiseOther
	noiseClasses
)

var noiseNames = [noiseClasses]string{
	"connection", "accept", "overflow", "timeout", "malformed_head", "malformed_body", "too_large", "panic", "overdue", "other",
}

// noisePause is the least time between two lines about one class.
const noisePause = time.Second

// noise stands in for fasthttp's logger: it counts by class, and prints the
// class and the count, at most once a second each.
type noise struct {
	log     *slog.Logger
	metrics *metrics

	mu    sync.Mutex
	count [noiseClasses]uint64
	last  [noiseClasses]time.Time
}

// Printf is fasthttp's. Only the format, which is a constant of that library,
// is looked at.
func (n *noise) Printf(format string, _ ...any) {
	class := noiseOther
	switch {
	case strings.HasPrefix(format, "error when serving connection"):
		class = noiseConnection
	case strings.Contains(format, "when accepting new connections"):
		class = noiseAccept
	case strings.HasPrefix(format, "The incoming connection cannot be served"):
		class = noiseOverflow
	}
	n.add(class)
}

func (n *noise) add(class noiseClass) {
	n.metrics.protocol[class].Inc()
	n.mu.Lock()
	n.count[class]++
	total, now := n.count[class], time.Now()
	quiet := now.Sub(n.last[class]) < noisePause
	if !quiet {
		n.last[class] = now
	}
	n.mu.Unlock()
	if !quiet {
		n.log.Warn("http trouble", "class", noiseNames[class], "count", total)
	}
}

// refuseProtocol answers a request that fasthttp could not read. The error's
// text is not looked at and not passed on.
func (s *Server) refuseProtocol(ctx *fasthttp.RequestCtx, err error) {
	c := s.calls.Get().(*call)
	c.begin(s, ctx, time.Now())
	defer c.end()
	kind, class, detail := protocolProblem(err)
	s.noise.add(class)
	if nc, ok := ctx.Conn().(*conn); ok {
		nc.linger = class != noiseTimeout
	}
	ctx.Response.Reset()
	c.refuse(problem{kind: kind, detail: detail})
}

func protocolProblem(err error) (*problemKind, noiseClass, string) {
	var small *fasthttp.ErrSmallBuffer
	var netErr net.Error
	var chunk fasthttp.ErrBrokenChunk
	switch {
	case errors.As(err, &small), errors.Is(err, fasthttp.ErrSmallReadBuffer):
		return problemHeadersTooLarge, noiseTooLarge, "The address and the headers together are too large."
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return problemBodyTooLarge, noiseTooLarge, "The body is larger than this API takes."
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return problemTimeout, noiseTimeout, "The request was not complete in time. This request had no effect."
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return problemInvalid, noiseConnection, "The connection was lost."
	case errors.As(err, &chunk), errors.Is(err, io.ErrUnexpectedEOF):
		return problemInvalid, noiseBody, "The body ended early or is framed wrongly."
	}
	return problemInvalid, noiseHead, "This is not a readable HTTP request."
}

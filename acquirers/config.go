package acquirers

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tranzit/tranzit/acquirers/keystore"
	"github.com/tranzit/tranzit/iso"
)

// Direction says who makes the connections of a bank.
type Direction string

// The directions. Payments are asked by us in both.
const (
	DirectionDial   Direction = "dial"   // we dial the bank
	DirectionListen Direction = "listen" // the bank dials us
)

// Config says how one bank is reached. Zero values take the default named in
// the field's comment; EnsureDefaults fills them in.
type Config struct {
	ID               string
	Direction        Direction // default DirectionDial
	Endpoints        []string  // DirectionDial: host:port, each gets its own links
	LinksPerEndpoint int       // DirectionDial; default 1
	Listen           string    // DirectionListen: host:port the bank dials
	MaxPeers         int       // DirectionListen: connections at a time, each is one link; default 2

	// Peers are the addresses a link may lead to; ParsePeer reads one. Empty
	// allows all, and is refused for DirectionListen: there, all is said as
	// 0.0.0.0/0 and ::/0.
	Peers []netip.Prefix

	Window        int // exchanges in flight per link, both classes together; default 512
	ReversalShare int // part of Window kept for ClassReversal, in exchanges; default a tenth, at least 1

	ConnectTimeout  time.Duration // TCP and TLS together; default 5s
	WriteTimeout    time.Duration // one write; passing it ends the link; default 3s
	ResponseTimeout time.Duration // default: the dialect's, else 30s
	ReversalTimeout time.Duration // for MTI class 4; default: the dialect's, else 40s
	EchoInterval    time.Duration // silence after which an echo is sent; default: the dialect's, else 30s
	EchoTimeout     time.Duration // also for sign-on and sign-off; default a third of EchoInterval, at most 10s
	EchoMisses      int           // unanswered echoes in a row that end the link; all together within EchoInterval; default 2
	ReconnectMin    time.Duration // default 500ms
	ReconnectMax    time.Duration // default 30s

	SignOn      bool   // we send 0800/001 before traffic, and 0800/002 before closing
	AwaitSignOn bool   // the bank sends 0800/001 before traffic, within EchoInterval; not together with SignOn
	Institution string // ours, for network management messages (DE32, DE33)
	AnyLink     bool   // take an answer from any link of the bank, not only from the one that carried the request

	// Keys are where the dialect's keys are, and Slots the store's slot of each of
	// them; both are needed when the dialect names keys, save the key of PIN blocks:
	// without it the bank gets no payment with a PIN.
	Keys  keystore.Store
	Slots map[string]string
	// KeyChangeEvery is the time between changes of keys that we start, and
	// KeyChangeAfter the number of messages under a key; default the dialect's, and without
	// those an operator or the bank starts them.
	KeyChangeEvery time.Duration
	KeyChangeAfter int

	Recorded int // frames the flight recorder keeps of each link and direction; default 64

	Logger     *slog.Logger          // default slog.Default
	Registerer prometheus.Registerer // nil: no metrics are exported
	TLS        *tls.Config           // nil: plain TCP; without ServerName a dialed endpoint's host is verified

	// Dial opens the raw connection; default a net.Dialer with keep-alive.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Listener opens the raw listener on Listen; default a net.ListenConfig with keep-alive.
	Listener func(ctx context.Context, network, addr string) (net.Listener, error)
}

// Hooks are what a bank tells its owner. They are called from one worker
// goroutine, never while a link waits.
type Hooks struct {
	NextSeq func() (uint64, error)    // trace numbers for network management; required
	Alarm   func(kind, detail string) // holds no card data and no bytes from outside
	CutOver func(at time.Time)        // the bank said that its business day ends

	// Late tells of an answer nobody waits for, which is valid only during the call,
	// and of the dialect of the link it came by.
	Late func(d *iso.Dialect, ans *iso.Message)
}

const (
	maxLinks         = 64
	maxWindow        = 1 << 16
	maxRecorded      = 1 << 12
	maxTimeout       = 24 * time.Hour
	minKeyLife       = 16 // messages
	maxKeyLife       = 1 << 40
	defaultResponse  = 30 * time.Second
	defaultReversal  = 40 * time.Second
	defaultEcho      = 30 * time.Second
	defaultEchoReply = 10 * time.Second
)

func orElse[T comparable](value *T, choices ...T) {
	var zero T
	for _, c := range choices {
		if *value != zero {
			return
		}
		*value = c
	}
}

// EnsureDefaults fills what was left out; times the dialect knows come from it.
func (c *Config) EnsureDefaults(d *iso.Dialect) {
	habit := d.Behaviour()
	orElse(&c.Direction, DirectionDial)
	orElse(&c.LinksPerEndpoint, 1)
	orElse(&c.MaxPeers, 2)
	orElse(&c.Recorded, 64)
	orElse(&c.Window, 512)
	orElse(&c.ReversalShare, max(1, c.Window/10))
	orElse(&c.ConnectTimeout, 5*time.Second)
	orElse(&c.ResponseTimeout, habit.ResponseTimeout, defaultResponse)
	orElse(&c.ReversalTimeout, habit.ReversalTimeout, defaultReversal)
	orElse(&c.WriteTimeout, min(3*time.Second, c.ResponseTimeout/2))
	orElse(&c.EchoInterval, habit.EchoInterval, defaultEcho)
	orElse(&c.EchoTimeout, min(defaultEchoReply, c.EchoInterval/3))
	orElse(&c.EchoMisses, 2)
	orElse(&c.KeyChangeEvery, d.KeyHabit().Every)
	orElse(&c.KeyChangeAfter, d.KeyHabit().After)
	orElse(&c.ReconnectMin, 500*time.Millisecond)
	orElse(&c.ReconnectMax, max(30*time.Second, c.ReconnectMin))
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	if c.Listener == nil {
		c.Listener = (&net.ListenConfig{KeepAlive: 15 * time.Second}).Listen
	}
}

// ConfigError is a fault of a Config.
type ConfigError struct {
	Fields []string // the Config's fields whose values do not go together, or the one that is out of bounds
	Text   string   // names the fields in words, with their values
}

// Error implements error.
func (e *ConfigError) Error() string { return e.Text }

// faultOf makes a ConfigError of fields, separated by spaces.
func faultOf(fields, format string, args ...any) error {
	return &ConfigError{Fields: strings.Fields(fields), Text: fmt.Sprintf(format, args...)}
}

// Validate checks bounds and relations. REQUIRES: EnsureDefaults was called.
// Every error is a *ConfigError.
func (c *Config) Validate() error {
	for _, t := range []struct {
		fields, name string // the second field is what the default of the first comes from
		value        time.Duration
	}{
		{"ConnectTimeout", "connect timeout", c.ConnectTimeout}, {"WriteTimeout ResponseTimeout", "write timeout", c.WriteTimeout},
		{"ResponseTimeout", "response timeout", c.ResponseTimeout}, {"ReversalTimeout", "reversal timeout", c.ReversalTimeout},
		{"EchoInterval", "echo interval", c.EchoInterval}, {"EchoTimeout EchoInterval", "echo timeout", c.EchoTimeout},
		{"ReconnectMin", "reconnect min", c.ReconnectMin}, {"ReconnectMax ReconnectMin", "reconnect max", c.ReconnectMax},
	} {
		if t.value < wheelTick || t.value > maxTimeout {
			return faultOf(t.fields, "%s is %v: want %v to %v", t.name, t.value, wheelTick, maxTimeout)
		}
	}
	switch {
	case c.KeyChangeEvery != 0 && (c.KeyChangeEvery < time.Minute || c.KeyChangeEvery > 366*24*time.Hour):
		return faultOf("KeyChangeEvery", "key change every is %v: want 1m to 366 days, or 0", c.KeyChangeEvery)
	case c.KeyChangeAfter != 0 && (c.KeyChangeAfter < minKeyLife || c.KeyChangeAfter > maxKeyLife):
		return faultOf("KeyChangeAfter", "key change after is %d messages: want %d to %d, or 0", c.KeyChangeAfter, minKeyLife, maxKeyLife)
	case c.ID == "":
		return faultOf("ID", "id is required")
	case c.SignOn && c.AwaitSignOn:
		return faultOf("SignOn AwaitSignOn", "sign-on is either ours or theirs")
	case c.Window < 2 || c.Window > maxWindow:
		return faultOf("Window", "window is %d: want 2 to %d", c.Window, maxWindow)
	case c.ReversalShare < 1 || c.ReversalShare >= c.Window:
		return faultOf("ReversalShare Window", "reversal share is %d: want at least 1 and less than the window of %d", c.ReversalShare, c.Window)
	case c.Recorded < 1 || c.Recorded > maxRecorded:
		return faultOf("Recorded", "recorded frames are %d: want 1 to %d", c.Recorded, maxRecorded)
	case c.EchoMisses < 1 || c.EchoMisses > 100:
		return faultOf("EchoMisses", "echo misses is %d: want 1 to 100", c.EchoMisses)
	case c.WriteTimeout >= c.ResponseTimeout:
		return faultOf("WriteTimeout ResponseTimeout", "write timeout %v must be shorter than the response timeout %v", c.WriteTimeout, c.ResponseTimeout)
	case c.WriteTimeout >= c.ReversalTimeout:
		return faultOf("WriteTimeout ReversalTimeout", "write timeout %v must be shorter than the reversal timeout %v", c.WriteTimeout, c.ReversalTimeout)
	case time.Duration(c.EchoMisses)*c.EchoTimeout > c.EchoInterval:
		// A silent bank is found after one interval and all the misses: within
		// two intervals.
		return faultOf("EchoTimeout EchoMisses EchoInterval", "%d echo misses of %v each must not take longer than the echo interval %v",
			c.EchoMisses, c.EchoTimeout, c.EchoInterval)
	case c.ReconnectMin > c.ReconnectMax:
		return faultOf("ReconnectMin ReconnectMax", "reconnect min %v must not be longer than reconnect max %v", c.ReconnectMin, c.ReconnectMax)
	}
	for i, p := range c.Peers {
		if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
			return faultOf("Peers", "peer %d is not an exact address range", i)
		}
	}
	switch c.Direction {
	case DirectionDial:
		return c.validateDial()
	case DirectionListen:
		return c.validateListen()
	}
	return faultOf("Direction", "direction %q is not one of dial, listen", c.Direction)
}

func (c *Config) validateDial() error {
	links := len(c.Endpoints) * c.LinksPerEndpoint
	switch {
	case len(c.Endpoints) == 0:
		return faultOf("Endpoints", "at least one endpoint is required")
	case c.LinksPerEndpoint < 1 || links > maxLinks:
		return faultOf("LinksPerEndpoint Endpoints", "%d links per endpoint make %d links: want 1 to %d in all", c.LinksPerEndpoint, links, maxLinks)
	}
	for i, e := range c.Endpoints {
		if _, _, err := net.SplitHostPort(e); err != nil {
			return faultOf("Endpoints", "endpoint %d is not host:port", i)
		}
	}
	return nil
}

func (c *Config) validateListen() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return faultOf("Listen", "listen is not host:port")
	}
	switch t := c.TLS; {
	case c.MaxPeers < 1 || c.MaxPeers > maxLinks:
		return faultOf("MaxPeers", "max peers is %d: want 1 to %d", c.MaxPeers, maxLinks)
	case len(c.Peers) == 0:
		return faultOf("Peers", "peers are required when the bank dials in; all addresses are 0.0.0.0/0 and ::/0")
	case t != nil && len(t.Certificates) == 0 && t.GetCertificate == nil && t.GetConfigForClient == nil:
		return faultOf("TLS", "TLS needs a certificate when the bank dials in")
	}
	return nil
}

// LinkCount is how many links the bank has. REQUIRES: Validate passed.
func (c *Config) LinkCount() int {
	if c.Direction == DirectionListen {
		return c.MaxPeers
	}
	return len(c.Endpoints) * c.LinksPerEndpoint
}

// endpoint is where the i-th link leads: one after the other, so that the first
// links lead to different endpoints.
func (c *Config) endpoint(i int) string {
	if c.Direction == DirectionListen {
		return c.Listen
	}
	return c.Endpoints[i%len(c.Endpoints)]
}

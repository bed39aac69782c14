package main

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tranzit/tranzit/acquirers"
	"github.com/tranzit/tranzit/frontend/mail"
	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// validate checks everything that can be checked without the network.
func (c *Config) validate() error {
	for _, a := range []struct{ path, value string }{{"listen", c.Listen}, {"admin", c.Admin}} {
		if _, _, err := net.SplitHostPort(a.value); err != nil {
			return c.fault(a.path, "%q is not host:port", a.value)
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		return c.fault("log.level", "%q is not one of debug, info, warn, error", c.Log.Level)
	}
	if c.Log.Format != "json" && c.Log.Format != "text" {
		return c.fault("log.format", "%q is not one of json, text", c.Log.Format)
	}
	if err := c.validateNumbers(); err != nil {
		return err
	}
	if err := cmp.Or(c.validateWebhooks(), c.validateCabinet()); err != nil {
		return err
	}
	if _, err := c.apiTLS(); err != nil {
		return err
	}
	if _, err := c.trustedProxies(); err != nil {
		return err
	}
	if _, err := c.retryRules(); err != nil {
		return err
	}
	if c.KeyStore != (KeyStoreConfig{}) {
		if err := c.KeyStore.validate(); err != nil {
			return c.fault("key_store", "%v", err)
		}
	}
	if len(c.Banks) == 0 {
		return c.fault("banks", "at least one bank is needed")
	}
	if len(c.Merchants) == 0 {
		return c.fault("merchants", "at least one merchant is needed")
	}
	seen := map[string]bool{}
	ports := map[string]string{c.Listen: "listen", c.Admin: "admin", c.Cabinet.Listen: "cabinet.listen"}
	for i := range c.Banks {
		b := &c.Banks[i]
		if where, taken := ports[b.Listen]; taken && b.Listen != "" {
			return c.fault(fmt.Sprintf("banks[%d].listen", i), "%q is taken by %s", b.Listen, where)
		}
		ports[b.Listen] = fmt.Sprintf("banks[%d].listen", i)
		if seen[b.ID] {
			return c.fault(fmt.Sprintf("banks[%d].id", i), "%q is used twice", b.ID)
		}
		seen[b.ID] = true
		if _, err := c.bank(i); err != nil {
			return err
		}
	}
	seenMerchant := map[string]bool{}
	for i := range c.Merchants {
		m := &c.Merchants[i]
		if seenMerchant[m.ID] {
			return c.fault(fmt.Sprintf("merchants[%d].id", i), "%q is used twice", m.ID)
		}
		seenMerchant[m.ID] = true
		if _, err := c.merchant(i, seen); err != nil {
			return err
		}
	}
	return c.validateShops()
}

// validateShops checks what is said of shops that join, of those of Assist and of the
// payment page.
func (c *Config) validateShops() error {
	_, joiningErr := c.joiningOptions()
	_, mailErr := c.letterOptions()
	_, assistErr := c.assistShops()
	return cmp.Or(joiningErr, mailErr, assistErr, c.validatePage())
}

// retryRules reads the schemes' rules of retries, nil: the built-in ones.
func (c *Config) retryRules() (*iso.RetryRules, error) {
	if c.Retries.File == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.Retries.File)
	if err != nil {
		return nil, c.fault("retries.file", "%v", err)
	}
	rules, err := iso.ParseRetryRules(c.Retries.File, text)
	if err != nil {
		return nil, c.fault("retries.file", "%v", err)
	}
	return rules, nil
}

// validateNumbers checks the bounds of every number outside the lists. Zero
// stands for the default.
func (c *Config) validateNumbers() error {
	for _, n := range []struct {
		path     string
		value    int
		min, max int
	}{
		{"http.max_body", c.HTTP.MaxBody, 0, 1 << 30}, {"http.connections", c.HTTP.Connections, 0, 10_000_000},
		{"journal.reserve_mib", c.Journal.ReserveMiB, -1, 1 << 20}, {"journal.cache_mib", c.Journal.CacheMiB, 0, 64 << 10},
		{"journal.memtable_mib", c.Journal.MemtableMiB, 0, 1 << 10}, {"limits.max_in_flight", c.Limits.MaxInFlight, 0, 1_000_000},
		{"runtime.gc_percent", c.Runtime.GCPercent, 0, 10_000}, {"runtime.memory_mib", c.Runtime.MemoryMiB, 0, 1 << 24},
		{"runtime.processors", c.Runtime.Processors, 0, 4096},
	} {
		if n.value < n.min || n.value > n.max {
			return c.fault(n.path, "%d is not within %d..%d", n.value, n.min, n.max)
		}
	}
	for _, d := range []struct {
		path  string
		value time.Duration
	}{
		{"http.read_timeout", c.HTTP.ReadTimeout}, {"http.idle_timeout", c.HTTP.IdleTimeout},
		{"journal.slow_after", c.Journal.SlowAfter}, {"drain_timeout", c.DrainTimeout},
	} {
		if d.value < 0 {
			return c.fault(d.path, "%s must not be negative", d.value)
		}
	}
	if share := c.Limits.MerchantShare; share < 0 || share > 1 {
		return c.fault("limits.merchant_share", "%g is not within 0..1", share)
	}
	return nil
}

// bank turns one bank of the configuration into the switch's form.
func (c *Config) bank(i int) (payswitch.BankConfig, error) {
	b := &c.Banks[i]
	at := func(key string) string { return fmt.Sprintf("banks[%d].%s", i, key) }
	var none payswitch.BankConfig
	switch {
	case !isName(b.ID):
		return none, c.fault(at("id"), "%q must be 1 to 32 of a-z, 0-9, - and _", b.ID)
	case b.Mode != "test" && b.Mode != "live":
		return none, c.fault(at("mode"), "%q is not one of test, live", b.Mode)
	case !slices.Contains([]signOn{signOnOurs, signOnTheirs, signOnNone}, b.SignOn):
		return none, c.fault(at("sign_on"), "%q is not one of true, false, ours, theirs, none", b.SignOn)
	case b.Dialect == "":
		return none, c.fault(at("dialect"), "a dialect is needed; built in are %s", strings.Join(iso.Builtins(), ", "))
	}
	peers, err := c.bankWay(i)
	if err != nil {
		return none, err
	}
	d, err := c.bankDialect(i)
	if err != nil {
		return none, err
	}
	next, err := c.bankCandidate(i, d)
	if err != nil {
		return none, err
	}
	link := acquirers.Config{
		ID: b.ID, Direction: acquirers.Direction(b.Direction), Endpoints: b.Endpoints, LinksPerEndpoint: b.LinksPerEndpoint,
		Listen: b.Listen, Peers: peers, MaxPeers: b.MaxPeers, Window: b.Window, ReversalShare: b.ReversalShare,
		ConnectTimeout: b.Timeouts.Connect, WriteTimeout: b.Timeouts.Write, ResponseTimeout: b.Timeouts.Response,
		ReversalTimeout: b.Timeouts.Reversal, EchoInterval: b.Echo.Interval, EchoTimeout: b.Echo.Timeout, EchoMisses: b.Echo.Misses,
		ReconnectMin: b.Reconnect.Min, ReconnectMax: b.Reconnect.Max, Institution: b.Institution,
		SignOn: b.SignOn == signOnOurs, AwaitSignOn: b.SignOn == signOnTheirs,
	}
	if link.TLS, err = c.bankTLS(i); err != nil {
		return none, err
	}
	if link.Slots, err = c.bankKeys(i, d, next.Dialect); err != nil {
		return none, err
	}
	link.Keys, link.KeyChangeEvery, link.KeyChangeAfter = c.keys, b.KeyChangeEvery, b.KeyChangeAfter
	profile, err := c.bankProfile(i, d)
	if err != nil {
		return none, err
	}
	for _, version := range []*iso.Dialect{d, next.Dialect} {
		if version == nil {
			continue
		}
		check := link
		check.EnsureDefaults(version)
		if err := check.Validate(); err != nil {
			return none, c.linkFault(i, err)
		}
		if err := c.canaryFits(i, check.LinkCount()); err != nil {
			return none, err
		}
	}
	if next.Dialect != nil && profile != nil {
		if err := profile.Fits(next.Dialect); err != nil {
			return none, c.fault(at("candidate.dialect"), "%v", err)
		}
	}
	return payswitch.BankConfig{Link: link, Dialect: d, Candidate: next, Live: b.Mode == "live", Profile: profile, Acquirer: b.Institution, Forwarder: b.Forwarder}, nil
}

// bankProfile reads what a bank supports and demands; nil: whatever its dialect can say.
func (c *Config) bankProfile(i int, d *iso.Dialect) (*iso.Profile, error) {
	b := &c.Banks[i]
	if b.Profile == "" {
		return nil, nil
	}
	at := fmt.Sprintf("banks[%d].profile", i)
	p, err := iso.ResolveProfile(b.Profile)
	if err != nil {
		return nil, c.fault(at, "%v", err)
	}
	if err := p.Fits(d); err != nil {
		return nil, c.fault(at, "%v", err)
	}
	return p, nil
}

// maxCredit is the largest amount that any message can name.
const maxCredit = 999_999_999_999

// linkKeys are the keys of a bank that fill the fields of acquirers.Config.
var linkKeys = map[string]string{
	"ID": "id", "Direction": "direction", "Endpoints": "endpoints", "LinksPerEndpoint": "links_per_endpoint", "Listen": "listen",
	"MaxPeers": "max_peers", "Peers": "peers", "Window": "window", "ReversalShare": "reversal_share", "ConnectTimeout": "timeouts.connect",
	"WriteTimeout": "timeouts.write", "ResponseTimeout": "timeouts.response", "ReversalTimeout": "timeouts.reversal",
	"EchoInterval": "echo.interval", "EchoTimeout": "echo.timeout", "EchoMisses": "echo.misses", "ReconnectMin": "reconnect.min",
	"ReconnectMax": "reconnect.max", "SignOn": "sign_on", "AwaitSignOn": "sign_on", "TLS": "tls", "KeyChangeEvery": "key_change_every", "KeyChangeAfter": "key_change_after",
}

// linkFault puts a fault of a bank's links at the first of its keys that stands
// in the file: the others are defaults.
func (c *Config) linkFault(i int, err error) error {
	bank := fmt.Sprintf("banks[%d]", i)
	var at *acquirers.ConfigError
	if errors.As(err, &at) {
		for _, field := range at.Fields {
			key := bank + "." + linkKeys[field]
			if _, written := c.lines[key]; written {
				return c.fault(key, "%v", err)
			}
		}
	}
	return c.fault(bank, "%v", err)
}

// bankWay checks how the bank is reached, keys that belong to the other
// direction included, and reads its peers.
func (c *Config) bankWay(i int) (peers []netip.Prefix, err error) {
	b := &c.Banks[i]
	at := func(key string) string { return fmt.Sprintf("banks[%d].%s", i, key) }
	_, _, listenErr := net.SplitHostPort(b.Listen)
	dials := b.Direction == "dial"
	switch {
	case !dials && b.Direction != "listen":
		return nil, c.fault(at("direction"), "%q is not one of dial, listen", b.Direction)
	case dials && len(b.Endpoints) == 0:
		return nil, c.fault(at("endpoints"), "at least one host:port is needed")
	case dials && b.Listen != "":
		return nil, c.fault(at("listen"), "needs direction: listen")
	case dials && b.MaxPeers != 0:
		return nil, c.fault(at("max_peers"), "needs direction: listen")
	case !dials && len(b.Endpoints) != 0:
		return nil, c.fault(at("endpoints"), "are dialed: with direction: listen the bank dials us")
	case !dials && b.LinksPerEndpoint != 0:
		return nil, c.fault(at("links_per_endpoint"), "is of dialed links: with direction: listen it is max_peers")
	case !dials && listenErr != nil:
		return nil, c.fault(at("listen"), "%q is not host:port", b.Listen)
	case !dials && len(b.Peers) == 0:
		return nil, c.fault(at("peers"), "the addresses the bank dials from are needed; all are 0.0.0.0/0 and ::/0")
	case b.MaxPeers < 0:
		return nil, c.fault(at("max_peers"), "must not be negative")
	}
	for j, e := range b.Endpoints {
		if _, _, err := net.SplitHostPort(e); err != nil {
			return nil, c.fault(fmt.Sprintf("banks[%d].endpoints[%d]", i, j), "%q is not host:port", e)
		}
	}
	for j, text := range b.Peers {
		p, err := acquirers.ParsePeer(text)
		if err != nil {
			return nil, c.fault(fmt.Sprintf("banks[%d].peers[%d]", i, j), "%q: %v", text, err)
		}
		peers = append(peers, p)
	}
	return peers, nil
}

func (c *Config) bankTLS(i int) (*tls.Config, error) {
	t := c.Banks[i].TLS
	if t == nil {
		return nil, nil
	}
	listens := c.Banks[i].Direction == "listen"
	at := func(key string) string { return fmt.Sprintf("banks[%d].tls.%s", i, key) }
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	switch t.MinVersion {
	case "", "1.2":
	case "1.3":
		out.MinVersion = tls.VersionTLS13
	default:
		return nil, c.fault(at("min_version"), "%q is not one of 1.2, 1.3", t.MinVersion)
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, c.fault(at("ca"), "%v", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, c.fault(at("ca"), "%s holds no certificate", t.CA)
		}
		if out.RootCAs = pool; listens {
			out.RootCAs, out.ClientCAs, out.ClientAuth = nil, pool, tls.RequireAndVerifyClientCert
		}
	}
	if t.Cert != "" || t.Key != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, c.fault(at("cert"), "%v", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	if !listens {
		return out, nil
	}
	switch {
	case len(out.Certificates) == 0:
		return nil, c.fault(at("cert"), "cert and key are needed with direction: listen")
	case t.ServerName != "" && t.CA == "":
		return nil, c.fault(at("server_name"), "needs ca: without it no certificate of the bank is asked for")
	case t.ServerName != "":
		out.ServerName = ""
		out.VerifyConnection = func(s tls.ConnectionState) error { return s.PeerCertificates[0].VerifyHostname(t.ServerName) }
	}
	return out, nil
}

// merchant turns one merchant of the configuration into the switch's form.
func (c *Config) merchant(i int, banks map[string]bool) (payswitch.Merchant, error) {
	m := &c.Merchants[i]
	at := func(key string) string { return fmt.Sprintf("merchants[%d].%s", i, key) }
	var none payswitch.Merchant
	zone, err := time.LoadLocation(m.TimeZone)
	switch {
	case m.ID == "":
		return none, c.fault(at("id"), "an id is needed")
	case m.Name == "" || !isPrintable(m.Name):
		return none, c.fault(at("name"), "a name of printable ASCII is needed")
	case !isPrintable(m.City):
		return none, c.fault(at("city"), "must be printable ASCII")
	case !isDigits(m.Country, 3):
		return none, c.fault(at("country"), "%q is not an ISO 3166 numeric code of three digits", m.Country)
	case !isDigits(m.MCC, 4):
		return none, c.fault(at("mcc"), "%q is not a merchant category code of four digits", m.MCC)
	case err != nil:
		return none, c.fault(at("time_zone"), "%q is not a time zone of the IANA list", m.TimeZone)
	case len(m.Keys) == 0:
		return none, c.fault(at("keys"), "at least one API key is needed")
	case m.Rate.PerSecond < 0 || m.Rate.Burst < 0:
		return none, c.fault(at("rate"), "must not be negative")
	case m.Language != "" && !slices.Contains(mail.Languages, m.Language):
		return none, c.fault(at("language"), "%q is not one of %s", m.Language, strings.Join(mail.Languages, ", "))
	}
	out := payswitch.Merchant{ID: m.ID, Name: m.Name, City: m.City, Country: m.Country, MCC: m.MCC, TimeZone: zone,
		RatePerSecond: m.Rate.PerSecond, Burst: m.Rate.Burst, MaxInFlight: m.MaxInFlight, OrderOnce: m.OrderOnce, Events: m.Events,
		AcceptPartial: m.AcceptPartial, CardPresent: m.CardPresent, Receipts: m.Receipts, Language: m.Language}
	if out.Certificates, err = c.pins(at("certificates"), m.Certificates); err != nil {
		return none, err
	}
	for j := range m.Keys {
		key, err := c.apiKey(i, j)
		if err != nil {
			return none, err
		}
		out.Keys = append(out.Keys, key)
	}
	for j, b := range m.Banks {
		path := fmt.Sprintf("merchants[%d].banks[%d]", i, j)
		switch {
		case !banks[b.Bank]:
			return none, c.fault(path+".bank", "there is no bank %q", b.Bank)
		case b.MerchantID == "" || len(b.MerchantID) > 15 || !isPrintable(b.MerchantID):
			return none, c.fault(path+".merchant_id", "must be 1 to 15 printable ASCII characters")
		case len(b.Terminals) == 0:
			return none, c.fault(path+".terminals", "at least one terminal id is needed")
		}
		for currency, credit := range b.Payouts {
			if _, err := iso.ParseCurrency(currency); err != nil {
				return none, c.fault(path+".payouts", "%q is not an ISO 4217 currency", currency)
			}
			if credit < 0 || credit > maxCredit {
				return none, c.fault(path+".payouts", "%d is not within 0..%d minor units", credit, int64(maxCredit))
			}
		}
		out.Banks = append(out.Banks, payswitch.MerchantBank{Bank: b.Bank, MerchantID: b.MerchantID, Terminals: b.Terminals, Payouts: b.Payouts})
	}
	if len(out.Banks) == 0 {
		return none, c.fault(at("banks"), "at least one bank is needed")
	}
	if out.PIN, err = c.merchantPIN(i); err != nil {
		return none, err
	}
	if out.Check, err = c.shopCheck(i); err != nil {
		return none, err
	}
	return out, nil
}

// apiKey reads one key: its SHA-256, or the key itself, in clear only for test
// mode.
func (c *Config) apiKey(i, j int) (payswitch.APIKey, error) {
	k := &c.Merchants[i].Keys[j]
	path := fmt.Sprintf("merchants[%d].keys[%d]", i, j)
	var none payswitch.APIKey
	if k.Mode != "test" && k.Mode != "live" {
		return none, c.fault(path+".mode", "%q is not one of test, live", k.Mode)
	}
	out := payswitch.APIKey{Live: k.Mode == "live"}
	var err error
	if out.Access, err = c.keyAccess(i, j); err != nil {
		return none, err
	}
	if k.Hash != "" {
		sum, err := hex.DecodeString(k.Hash)
		if err != nil || len(sum) != sha256.Size || k.Key != "" {
			return none, c.fault(path+".sha256", "must be 64 hexadecimal digits, and stand without key")
		}
		copy(out.Hash[:], sum)
		return out, nil
	}
	if out.Live && !strings.HasPrefix(k.Key, "file:") && !strings.HasPrefix(k.Key, "env:") {
		return none, c.fault(path+".key", "a live key is given as sha256, file: or env:, never in clear")
	}
	key, err := secret(k.Key)
	switch {
	case err != nil:
		return none, c.fault(path+".key", "%v", err)
	case !strings.HasPrefix(key, "sk_"+k.Mode+"_") || len(key) < 24:
		return none, c.fault(path+".key", "must begin with sk_%s_ and have at least 24 characters", k.Mode)
	}
	out.Hash = payswitch.HashKey([]byte(key))
	return out, nil
}

func isName(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

func isDigits(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789") == ""
}

func isPrintable(s string) bool {
	for _, r := range s {
		if r < ' ' || r > '~' {
			return false
		}
	}
	return true
}

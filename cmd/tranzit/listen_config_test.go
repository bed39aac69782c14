package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/acquirers"
)

// listening is soundConfig with a bank that dials in.
var listening = strings.NewReplacer(
	`    endpoints: ["127.0.0.1:9101"]`, `    direction: listen`,
	`    links_per_endpoint: 2`, `    listen: 127.0.0.1:9201
    peers: [10.1.0.0/16, 192.0.2.7, "2001:db8::/32"]
    max_peers: 3`).Replace(soundConfig)

func TestListeningBank(t *testing.T) {
	t.Parallel()
	c, err := parseConfig("tranzit.yaml", []byte(listening))
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.bank(0)
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")}
	if l := b.Link; l.Direction != acquirers.DirectionListen || l.Listen != "127.0.0.1:9201" || l.MaxPeers != 3 || !slices.Equal(l.Peers, want) {
		t.Errorf("direction %s on %s, %d of %v", l.Direction, l.Listen, l.MaxPeers, l.Peers)
	}
}

func TestSignOnWords(t *testing.T) {
	for word, want := range map[string][2]bool{
		"":       {true, false},
		"true":   {true, false},
		"yes":    {true, false},
		"ours":   {true, false},
		"false":  {false, false},
		"none":   {false, false},
		"theirs": {false, true},
	} {
		text := listening
		if word != "" {
			text = strings.Replace(text, "    window: 64", "    sign_on: "+word, 1)
		}
		c, err := parseConfig("tranzit.yaml", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", word, err)
			continue
		}
		b, err := c.bank(0)
		if got := [2]bool{b.Link.SignOn, b.Link.AwaitSignOn}; err != nil || got != want {
			t.Errorf("%q: ours, theirs: %v, want %v; %v", word, got, want, err)
		}
	}
}

// The mistakes of a bank that dials in: each is one line with file, line and key.
func TestListeningMistakes(t *testing.T) {
	for _, m := range []struct{ name, from, to, want string }{
		{"no peers", "    peers: [10.1.0.0/16, 192.0.2.7, \"2001:db8::/32\"]\n", "",
			"tranzit.yaml:8: banks[0].peers: the addresses the bank dials from are needed; all are 0.0.0.0/0 and ::/0"},
		{"empty peers", "[10.1.0.0/16, 192.0.2.7, \"2001:db8::/32\"]", "[]",
			"tranzit.yaml:13: banks[0].peers: the addresses the bank dials from are needed; all are 0.0.0.0/0 and ::/0"},
		{"a name for a peer", "192.0.2.7", "bank.example", `tranzit.yaml:13: banks[0].peers[1]: "bank.example": neither an IP address nor a CIDR range`},
		{"an inexact range", "10.1.0.0/16", "10.1.2.0/16",
			`tranzit.yaml:13: banks[0].peers[0]: "10.1.2.0/16": the range is not exact: write 10.1.0.0/16, or the address alone`},
		{"a mapped range", "10.1.0.0/16", `"::ffff:10.1.0.0/112"`,
			`tranzit.yaml:13: banks[0].peers[0]: "::ffff:10.1.0.0/112": an IPv4 range is written in IPv4 form`},
		{"nowhere to listen", "    listen: 127.0.0.1:9201\n", "", `tranzit.yaml:8: banks[0].listen: "" is not host:port`},
		{"the merchants' port", "listen: 127.0.0.1:0", "listen: 127.0.0.1:9201", `tranzit.yaml:12: banks[0].listen: "127.0.0.1:9201" is taken by listen`},
		{"endpoints, too", "    max_peers: 3", "    endpoints: ['127.0.0.1:1']",
			"tranzit.yaml:14: banks[0].endpoints: are dialed: with direction: listen the bank dials us"},
		{"links, too", "    max_peers: 3", "    links_per_endpoint: 3",
			"tranzit.yaml:14: banks[0].links_per_endpoint: is of dialed links: with direction: listen it is max_peers"},
		{"too many places", "max_peers: 3", "max_peers: 65", "tranzit.yaml:14: banks[0].max_peers: max peers is 65: want 1 to 64"},
		{"fewer than none", "max_peers: 3", "max_peers: -1", "tranzit.yaml:14: banks[0].max_peers: must not be negative"},
		{"listen and dial", "direction: listen", "endpoints: ['127.0.0.1:1']", "tranzit.yaml:12: banks[0].listen: needs direction: listen"},
		{"a third who signs on", "    window: 64", "    sign_on: both",
			`tranzit.yaml:15: banks[0].sign_on: "both" is not one of true, false, ours, theirs, none`},
		{"no certificate of ours", "    window: 64", "    tls: {}", "tranzit.yaml:15: banks[0].tls.cert: cert and key are needed with direction: listen"},
	} {
		broken := strings.Replace(listening, m.from, m.to, 1)
		if broken == listening {
			t.Errorf("%s: the mistake was not made", m.name)
		}
		if _, err := parseConfig("tranzit.yaml", []byte(broken)); err == nil || err.Error() != m.want {
			t.Errorf("%s:\n%v, want\n%s", m.name, err, m.want)
		}
	}
}

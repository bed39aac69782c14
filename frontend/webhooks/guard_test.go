package webhooks

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func TestOnlyPublicAddressesAreCalled(t *testing.T) {
	for _, tt := range []struct {
		address string
		public  bool
	}{
		{"8.8.8.8", true}, {"93.184.216.34", true}, {"2606:4700:4700::1111", true}, {"1.1.1.1", true}, {"172.32.0.1", true}, {"100.63.255.255", true},
		{"127.0.0.1", false}, {"127.255.255.254", false}, {"10.1.2.3", false}, {"172.16.0.1", false}, {"172.31.255.255", false},
		{"192.168.1.1", false}, {"169.254.169.254", false}, {"100.64.0.1", false}, {"0.0.0.0", false}, {"224.0.0.1", false},
		{"255.255.255.255", false}, {"198.18.0.1", false}, {"192.0.2.1", false}, {"240.0.0.1", false},
		{"::", false}, {"::1", false}, {"::ffff:127.0.0.1", false}, {"::ffff:10.0.0.1", false}, {"::127.0.0.1", false},
		{"64:ff9b::7f00:1", false}, {"2002:7f00:1::", false}, {"2001::1", false}, {"2001:db8::1", false}, {"fe80::1", false},
		{"fe80::1%eth0", false}, {"fc00::1", false}, {"fd12:3456::1", false}, {"fec0::1", false}, {"ff02::1", false},
	} {
		if got := (&guard{}).permits(netip.MustParseAddr(tt.address)); got != tt.public {
			t.Errorf("%s is called: %v", tt.address, got)
		}
	}
	if (&guard{}).permits(netip.Addr{}) || !(&guard{loopback}).permits(netip.MustParseAddr("::ffff:127.0.0.9")) {
		t.Error("an allowed network is not called, or no address is")
	}
}

// TestNamesLeadNowhereElse: what a name leads to is checked, whatever its text
// says, and an answer leads to no other address.
func TestNamesLeadNowhereElse(t *testing.T) {
	hit := false
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit = true }))
	defer inner.Close()
	outer := httptest.NewServer(http.RedirectHandler(inner.URL, http.StatusTemporaryRedirect))
	defer outer.Close()
	_, port, _ := cutLast(inner.URL)
	public, private := NewCaller(CallerOptions{Connect: time.Second}), NewCaller(CallerOptions{Allow: loopback})
	defer public.Close()
	defer private.Close()
	for url, want := range map[string]reply{
		inner.URL:                            {word: "blocked_address"},
		"http://localhost:" + port:           {word: "blocked_address"},
		"http://[::1]:" + port:               {word: "blocked_address"},
		"http://[::ffff:127.0.0.1]:" + port:  {word: "blocked_address"},
		"http://2130706433:" + port:          {word: "name_not_found"},
		"http://nothing.invalid:" + port:     {word: "name_not_found"},
		"https://user@127.0.0.1:" + port:     {word: "blocked_address"},
		"http://0.0.0.0:" + port + "/a?b=c":  {word: "blocked_address"},
		"http://169.254.169.254/latest/meta": {word: "blocked_address"},
	} {
		got := public.post(context.Background(), &message{url: url})
		if got.code != 0 || got.word != want.word && !(want.word == "name_not_found" && got.word == "timeout") {
			t.Errorf("%s: %+v, want %+v", url, got, want)
		}
	}
	if got := private.post(context.Background(), &message{url: outer.URL}); got.code != 307 || hit {
		t.Errorf("a redirect: %+v, followed: %v", got, hit)
	}
	if got := private.post(context.Background(), &message{url: "http://127.0.0.1:1"}); got.word != "not_connected" {
		t.Errorf("a closed port: %+v", got)
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	if got := private.post(context.Background(), &message{url: secure.URL}); got.word != "tls" {
		t.Errorf("a certificate nobody vouches for: %+v", got)
	}
}

func cutLast(url string) (head, tail string, ok bool) {
	for i := len(url) - 1; i >= 0; i-- {
		if url[i] == ':' {
			return url[:i], url[i+1:], true
		}
	}
	return url, "", false
}

// TestPublishedVector holds the signature to the published one of Standard Webhooks.
func TestPublishedVector(t *testing.T) {
	list, err := signersOf("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	must(t, err)
	got, err := list[0].Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want || err != nil {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

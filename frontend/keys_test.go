package frontend

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// walkKeys gives the answers about API keys.
func walkKeys(t *testing.T, given map[string]bool) {
	s := openShop(t, nil)
	defer s.collect(given)
	path := ""
	for i := range payswitch.MaxKeys {
		path = "/v1/api_keys/" + idOf(t, s.want("201", "POST /v1/api_keys", fmt.Sprintf(`{"name":"n %d","scopes":["*"]}`, i)))
	}
	s.want("409 invalid_state", "POST /v1/api_keys", `{"name":"one too many","scopes":["*"]}`)
	s.want("200", "GET "+path, "")
	s.want("200", "GET /v1/api_keys", "")
	s.want("201", "POST "+path+"/roll", `{"keep_old_hours":1}`)
	s.want("409 invalid_state", "POST "+path+"/roll", "{}")
	s.want("200", "POST "+path+"/revoke", "{}")
}

// made makes a key over the API and gives its id and secret.
func (s *shop) issue(t *testing.T, body string) (id, secret string) {
	t.Helper()
	r := s.want("201", "POST /v1/api_keys", body)
	return idOf(t, r), member[string](t, r.body, "secret")
}

func bearer(secret string) []string { return []string{"Authorization", "Bearer " + secret} }

// TestScopes: for every route and every scope, a key of that one scope alone may
// do what the route asks for and nothing else, and the refusal names what it lacks.
func TestScopes(t *testing.T) {
	s := openShop(t, nil)
	secrets := map[string]string{}
	for _, word := range payswitch.ScopeWords() {
		_, secrets[word] = s.issue(t, fmt.Sprintf(`{"name":"only","scopes":[%q]}`, word))
	}
	for _, op := range document().operations() {
		route, _, _ := s.server.routes.find([]byte(op.to(noPayment, noRefund)))
		need := route.reads
		if op.method != "GET" {
			need = route.writes
		}
		if route.public {
			continue
		}
		if len(need.Words()) != 1 {
			t.Errorf("%s %s asks for the scopes %v: want one", op.method, op.path, need.Words())
			continue
		}
		for word, secret := range secrets {
			r := s.do(op.method, op.to(noPayment, noRefund)+"?nonsense=1", op.body(), append(bearer(secret), "Idempotency-Key", "k")...)
			if word == need.Words()[0] {
				if r.status == 403 {
					t.Errorf("%s %s refuses %s", op.method, op.path, word)
				}
				continue
			}
			r.wantProblem(t, 403, "forbidden")
			if !strings.Contains(r.body, "needs the scope "+need.Words()[0]+".") {
				t.Errorf("%s %s does not name %s: %s", op.method, op.path, need.Words()[0], r.body)
			}
		}
	}
}

// TestKeyLife: a key made over the API works at once, is rolled with both keys in
// force, and a revoked one opens nothing.
func TestKeyLife(t *testing.T) {
	s := openShop(t, nil)
	id, secret := s.issue(t, `{"name":"life","scopes":["*"]}`)
	s.want("200", "GET /v1/payments", "", bearer(secret)...)
	used := s.want("200", "GET /v1/api_keys/"+id, "")
	if at := member[string](t, used.body, "last_used_at"); !strings.HasSuffix(at, ":00.000Z") {
		t.Errorf("last used at %s", at)
	}
	if strings.Contains(used.body, secret) || strings.Contains(s.log.String(), secret) {
		t.Error("the secret is told again")
	}
	next := s.want("201", "POST /v1/api_keys/"+id+"/roll", "{}")
	s.want("200", "GET /v1/payments", "", bearer(secret)...)
	s.want("200", "GET /v1/payments", "", bearer(member[string](t, next.body, "secret"))...)
	s.want("200", "POST /v1/api_keys/"+id+"/revoke", "{}")
	s.want("401 unauthorized", "GET /v1/payments", "", bearer(secret)...)
	s.want("404 not_found", "GET /v1/api_keys/"+id, "", bearer(keyOther)...)
	s.want("404 not_found", "POST /v1/api_keys/"+id+"/revoke", "{}", bearer(keyOther)...)
	var list struct{ Data []payswitch.KeyView }
	must(t, json.Unmarshal([]byte(s.want("200", "GET /v1/api_keys", "").body), &list))
	if len(list.Data) != 2 || list.Data[1].Status != "revoked" || *list.Data[1].RolledTo != list.Data[0].ID {
		t.Errorf("the list is %+v", list.Data)
	}
}

// TestNoKeyOutgrowsItsMaker in any respect.
func TestNoKeyOutgrowsItsMaker(t *testing.T) {
	s := openShop(t, nil)
	soon := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	_, maker := s.issue(t, `{"name":"maker","scopes":["keys:write","payments:read"],"expires_at":"`+soon+`","addresses":["127.0.0.0/8"]}`)
	wide := `{"name":"child","scopes":["payments:read"],"expires_at":"` + soon + `","addresses":["127.0.0.1"]}`
	s.want("201", "POST /v1/api_keys", wide, bearer(maker)...)
	for _, change := range [][2]string{
		{`["payments:read"]`, `["*"]`}, {`["payments:read"]`, `["refunds:write"]`}, {`"expires_at":"` + soon + `",`, ""},
		{`"127.0.0.1"`, `"0.0.0.0/0"`}, {`,"addresses":["127.0.0.1"]`, ""},
	} {
		s.want("403 forbidden", "POST /v1/api_keys", strings.Replace(wide, change[0], change[1], 1), bearer(maker)...)
	}
	whole, _ := s.issue(t, `{"name":"whole","scopes":["*"]}`)
	s.want("403 forbidden", "POST /v1/api_keys/"+whole+"/roll", "{}", bearer(maker)...)
	s.want("200", "POST /v1/api_keys/"+whole+"/revoke", "{}", bearer(maker)...)
}

// TestBadKeyRequests name what is wrong.
func TestBadKeyRequests(t *testing.T) {
	s := openShop(t, nil)
	for body, want := range map[string]string{
		`{"name":"x"}`:                                                                  `"/scopes"`,
		`{"scopes":["*"]}`:                                                              `"/name"`,
		`{"name":"x","scopes":["pay"]}`:                                                 `"/scopes"`,
		`{"name":"x","scopes":["*","payments:read"]}`:                                   `"/scopes"`,
		`{"name":"x","scopes":"*"}`:                                                     `"/scopes","code":"wrong_type"`,
		`{"name":"x","scopes":["*"],"more":1}`:                                          `"/more","code":"unknown_field"`,
		`{"name":"x","scopes":["*"],"expires_at":"now"}`:                                `"/expires_at","code":"invalid_format"`,
		`{"name":"x","scopes":["*"],"expires_at":"2020-01-01T00:00:00Z"}`:               `"/expires_at"`,
		`{"name":"x","scopes":["*"],"addresses":["10.0.0.1/8"]}`:                        `"/addresses"`,
		`{"name":"x","scopes":["*"],"addresses":["::ffff:10.0.0.0/104"]}`:               `"/addresses"`,
		`{"name":"x","scopes":["*"],"certificates":["sha256:00"]}`:                      `"/certificates"`,
		`{"name":"x","scopes":["*"],"signed":1}`:                                        `"/signed","code":"wrong_type"`,
		`{"name":"` + strings.Repeat("x", 101) + `","scopes":["*"]}`:                    `"/name","code":"too_long"`,
		`{"name":"x","scopes":["*"],"addresses":[` + strings.Repeat(`"",`, 40) + `""]}`: `"/addresses","code":"too_long"`,
		`[]`: `wrong_type`, `{"name":"x","scopes":["*"`: `invalid_json`, ``: `invalid_json`,
	} {
		if r := s.want("400 invalid_request", "POST /v1/api_keys", body); !strings.Contains(r.body, want) {
			t.Errorf("%.60s: %s lacks %s", body, r.body, want)
		}
	}
}

// TestCallerAddress: only a trusted proxy's word about an address is taken, and
// only back to the first that is not trusted.
func TestCallerAddress(t *testing.T) {
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	inner := netip.MustParsePrefix("10.0.0.0/8")
	for _, tt := range []struct {
		forwarded string
		trusted   []netip.Prefix
		list      string
		status    int
	}{
		{"", nil, "127.0.0.1", 200},
		{"", nil, "::1", 403},
		{"198.51.100.7", nil, "198.51.100.7", 403},
		{"198.51.100.7", []netip.Prefix{loopback}, "198.51.100.0/24", 200},
		{"198.51.100.7", []netip.Prefix{loopback}, "127.0.0.1", 403},
		{"198.51.100.7, 203.0.113.5", []netip.Prefix{loopback}, "198.51.100.7", 403},
		{"198.51.100.7, 10.1.2.3", []netip.Prefix{loopback, inner}, "198.51.100.7", 200},
		{"2001:db8::7", []netip.Prefix{loopback}, "2001:db8::/32", 200},
		{"::ffff:198.51.100.7", []netip.Prefix{loopback}, "198.51.100.7", 200},
		{"nonsense", []netip.Prefix{loopback}, "0.0.0.0/0", 403},
		{"10.1.2.3", []netip.Prefix{loopback, inner}, "10.1.2.3", 200},
	} {
		s := openShop(t, func(o *Options) { o.TrustedProxies = tt.trusted })
		_, secret := s.issue(t, fmt.Sprintf(`{"name":"fenced","scopes":["*"],"addresses":[%q]}`, tt.list))
		r := s.do("GET", "/v1/payments", "", append(bearer(secret), "X-Forwarded-For", tt.forwarded)...)
		if r.status != tt.status {
			t.Errorf("from %q trusting %v with list %s: %d", tt.forwarded, tt.trusted, tt.list, r.status)
		}
	}
}

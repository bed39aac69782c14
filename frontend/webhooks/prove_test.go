package webhooks

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tranzit/tranzit/frontend/client"
	payswitch "github.com/tranzit/tranzit/switch"
)

// TestProve: only a shop that takes what is signed with its secret, and refuses the
// rest as a shop should, passes; the others read why not.
func TestProve(t *testing.T) {
	r := newRig(t, nil)
	endpoint := &payswitch.Endpoint{ID: r.sw.NewID(), Enabled: true, Secrets: []payswitch.EndpointSecret{{Secret: strangeSecret()}}}
	verify := func(refuse, take int) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(req.Body)
			if _, err := client.ReadWebhook(endpoint.Secrets[0].Secret, req.Header, body); err != nil {
				w.WriteHeader(refuse)
				return
			}
			w.WriteHeader(take)
		}
	}
	for _, tt := range []struct {
		name string
		shop http.HandlerFunc
		want string // of the detail, or nothing: it passes
	}{
		{"verifies", verify(401, 204), ""},
		{"verifies, in another word", verify(422, 200), ""},
		{"takes everything", func(http.ResponseWriter, *http.Request) {}, "does not verify"},
		{"refuses everything", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "signed rightly was answered with 401"},
		{"is not there", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "404"},
		{"breaks on what is wrong", verify(500, 200), "want 400, 401, 403 or 422"},
		{"breaks on what is right", verify(401, 500), "signed rightly was answered with 500"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.shop)
			defer server.Close()
			endpoint.URL = server.URL
			for range 5 { // the order is one of chance
				if ok, detail := r.d.Prove(endpoint); ok != (tt.want == "") || !strings.Contains(detail, tt.want) {
					t.Fatalf("%t, %q", ok, detail)
				}
			}
		})
	}
	endpoint.URL = "http://127.0.0.1:1"
	if ok, detail := r.d.Prove(endpoint); ok || !strings.Contains(detail, "not reached") {
		t.Errorf("nobody there: %t, %q", ok, detail)
	}
}

//go:build linux

package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	payswitch "github.com/tranzit/tranzit/switch"
)

// certFiles writes a certificate with its key and returns the configuration's words
// for them.
func (a *authority) certFiles(name string, c tls.Certificate) string {
	a.t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	cert := a.file(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
	return "cert: " + cert + ", key: " + a.file(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}

// apiCaller asks the merchants' listener over connections of its own.
type apiCaller struct {
	roots *x509.CertPool
	cert  *tls.Certificate
}

// get is the status of GET /v1/payments, or the error of the connection.
func (c apiCaller) get(r *rig) (int, error) {
	conf := &tls.Config{RootCAs: c.roots, ServerName: tlsHost}
	if c.cert != nil {
		// GetClientCertificate shows it although the server asks for another authority's.
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.cert, nil }
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}
	req, err := http.NewRequest("GET", "https://"+r.api+"/v1/payments", nil)
	if err != nil {
		return 0, err
	}
	req.SetBasicAuth(rigKey, "")
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, nil
}

// rewrite changes the configuration's file and reloads; it waits for the log to
// say what came of it.
func (r *rig) rewrite(change *strings.Replacer, says string) {
	r.t.Helper()
	text, err := os.ReadFile(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	next := change.Replace(string(text))
	if next == string(text) {
		r.t.Fatal("the configuration does not change")
	}
	if err := os.WriteFile(r.config, []byte(next), 0o600); err != nil {
		r.t.Fatal(err)
	}
	log, _ := os.ReadFile(r.logPath)
	before := strings.Count(string(log), says)
	if err := r.process.Process.Signal(syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	r.await(says, func() bool {
		log, _ := os.ReadFile(r.logPath)
		return strings.Count(string(log), says) > before
	})
}

// TestAPIOverTLS: merchants reach the API over TLS alone; a pinned key demands
// its certificate; SIGHUP changes certificate, authority and pins without a
// stop, and a file with a mistake changes nothing.
func TestAPIOverTLS(t *testing.T) {
	t.Parallel()
	until := time.Now().Add(time.Hour)
	server, shops, others := newAuthority(t, t.TempDir()), newAuthority(t, t.TempDir()), newAuthority(t, t.TempDir())
	first := server.certFiles("first", server.issue(tlsHost, until))
	next := others.certFiles("next", others.issue(tlsHost, until))
	shop, stranger, wrong := shops.issue("shop.test", until), others.issue("shop.test", until), shops.issue("else.test", until)
	late := shops.issue("shop.test", time.Now().Add(-time.Minute))
	r := newRigWith(t, rigPlan{settings: fmt.Sprintf("http: {read_timeout: 300ms, tls: {%s, client_ca: %s}}\n", first, shops.file("ca.pem", shops.pem))})
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	const open = "    keys: [{mode: test"
	pinned := strings.Replace(string(text), open, "    certificates: [\"subject:CN=shop.test\"]\n"+open, 1)
	if err := os.WriteFile(r.config, []byte(pinned), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	want := func(what string, c apiCaller, status int) {
		t.Helper()
		if got, err := c.get(r); got != status || (status == 0) == (err == nil) {
			t.Errorf("%s: %d, %v: want %d", what, got, err, status)
		}
	}
	ours := server.pool()
	want("its certificate", apiCaller{ours, &shop}, 200)
	want("no certificate", apiCaller{ours, nil}, 403)
	want("another's certificate", apiCaller{ours, &wrong}, 403)
	want("another authority's certificate", apiCaller{ours, &stranger}, 0)
	want("an expired certificate", apiCaller{ours, &late}, 0)
	want("another server", apiCaller{others.pool(), &shop}, 0)
	silent, err := net.Dial("tcp", r.api)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_ = silent.SetReadDeadline(time.Now().Add(60 * time.Second))
	if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a connection without a handshake ends with %v", err)
	}
	if resp, err := http.Get("http://" + r.api + "/openapi.json"); err == nil {
		resp.Body.Close()
		if resp.StatusCode == 200 {
			t.Error("the API answers in clear")
		}
	}

	r.rewrite(strings.NewReplacer("first.pem", "missing.pem"), "reload refused")
	want("after a bad file", apiCaller{ours, &shop}, 200)
	sum := sha256.Sum256(stranger.Certificate[0])
	r.rewrite(strings.NewReplacer(strings.Replace(first, "first.pem", "missing.pem", 1), next, ", client_ca: "+shops.dir+"/ca.pem", "",
		"subject:CN=shop.test", "sha256:"+hex.EncodeToString(sum[:])), "certificates reloaded")
	theirs := others.pool()
	want("the new pin", apiCaller{theirs, &stranger}, 200)
	want("the old certificate", apiCaller{theirs, &shop}, 403)
	want("the old server", apiCaller{ours, &stranger}, 0)
	r.rewrite(strings.NewReplacer("http: {", "# http: {", "    certificates:", "    # certificates:"), "takes a restart")
	want("encryption is not turned off", apiCaller{theirs, &stranger}, 200)
}

// TestTLSMistakes: each mistake of the listener's keys is one line with file,
// line and key.
func TestTLSMistakes(t *testing.T) {
	a := newAuthority(t, t.TempDir())
	files := a.certFiles("api", a.issue(tlsHost, time.Now().Add(time.Hour)))
	sound := soundConfig + "http:\n  trusted_proxies: [10.0.0.0/8, 192.0.2.1]\n  tls: {" + files + "}\n"
	lines := strings.Count(soundConfig, "\n")
	if _, err := parseConfig("t.yaml", []byte(sound)); err != nil {
		t.Fatal(err)
	}
	const key, digest = "cdefgh}", `"sha256:` + "0000000000000000000000000000000000000000000000000000000000000000" + `"`
	for _, m := range []struct{ from, to, want string }{
		{"10.0.0.0/8", "10.0.0.1/8", fmt.Sprintf(`t.yaml:%d: http.trusted_proxies[0]: "10.0.0.1/8" has bits behind the mask: write 10.0.0.0/8`, lines+2)},
		{"tls: {", "tls: {min_version: '1.1', ", fmt.Sprintf(`t.yaml:%d: http.tls.min_version: "1.1" is not one of 1.2, 1.3`, lines+3)},
		{files, "key: " + a.dir + "/api.key", fmt.Sprintf("t.yaml:%d: http.tls.cert: a certificate is needed", lines+3)},
		{files, "cert: " + a.dir + "/api.pem", fmt.Sprintf("t.yaml:%d: http.tls.key: the key of the certificate is needed", lines+3)},
		{"api.pem", "none.pem", fmt.Sprintf("t.yaml:%d: http.tls.cert: open %s/none.pem: no such file or directory", lines+3, a.dir)},
		{"tls: {", "tls: {client_ca: " + a.dir + "/api.key, ", fmt.Sprintf("t.yaml:%d: http.tls.client_ca: %s/api.key holds no certificate", lines+3, a.dir)},
		{key, "cdefgh, scopes: [pay]}", "t.yaml:26: merchants[0].keys[0].scopes: A value is not valid: there is no such scope; there are " + strings.Join(payswitch.ScopeWords(), ", ") + "."},
		{key, "cdefgh, addresses: [here]}", "t.yaml:26: merchants[0].keys[0].addresses: A value is not valid: must be an IP address or a range like 203.0.113.0/24."},
		{key, "cdefgh, certificates: [x]}", `t.yaml:26: merchants[0].keys[0].certificates[0]: "x" must be sha256: and 64 hexadecimal digits, or subject: and a name like CN=shop,O=Shop Ltd`},
		{key, "cdefgh, certificates: ['subject:CN=x']}", "t.yaml:26: merchants[0].keys[0].certificates[0]: a subject needs http.tls.client_ca: without it nobody vouches for the name"},
		{"    city", "    certificates: ['subject:CN=x']\n    city", "t.yaml:21: merchants[0].certificates[0]: a subject needs http.tls.client_ca: without it nobody vouches for the name"},
		{"tls: {", "tls: {ca: x, ", fmt.Sprintf(`t.yaml:%d: unknown key "ca"`, lines+3)},
	} {
		if _, err := parseConfig("t.yaml", []byte(strings.Replace(sound, m.from, m.to, 1))); err == nil || err.Error() != m.want {
			t.Errorf("%s -> %s:\n got %v\nwant %s", m.from, m.to, err, m.want)
		}
	}
	bare := strings.Replace(soundConfig, key, "cdefgh, certificates: ["+digest+"]}", 1)
	if _, err := parseConfig("t.yaml", []byte(bare)); err == nil || !strings.HasSuffix(err.Error(), "needs http.tls: without it no client shows a certificate") {
		t.Error(err)
	}
}

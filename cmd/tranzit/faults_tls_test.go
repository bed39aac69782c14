//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tranzit/tranzit/acquirers/banksim"
)

// authority issues the certificates of a test. All have the same name, so that
// only their signatures tell them apart.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir}
	a.cert = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour)}
	a.cert, a.key, a.pem = a.sign(a.cert)
	return a
}

// sign makes a key and the certificate of it; without a key of its own the
// authority signs itself.
func (a *authority) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issue makes a certificate of a host that is valid until then.
func (a *authority) issue(host string, until time.Time) tls.Certificate {
	a.t.Helper()
	cert, key, _ := a.sign(&x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// file writes one PEM file and returns its path.
func (a *authority) file(name string, content []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// terminator speaks TLS for a simulated bank.
type terminator struct {
	net.Listener
	conf atomic.Pointer[tls.Config]
}

func newTerminator(t *testing.T, target string, conf *tls.Config) *terminator {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	f := &terminator{Listener: ln}
	f.conf.Store(conf)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go f.serve(tls.Server(conn, f.conf.Load()), target)
		}
	}()
	return f
}

// serve carries the bytes of one connection, after the handshake.
func (f *terminator) serve(conn *tls.Conn, target string) {
	defer conn.Close()
	if conn.Handshake() != nil {
		return
	}
	bank, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(bank, conn)
		_ = bank.Close()
	}()
	_, _ = io.Copy(conn, bank)
}

// tlsHost is the name in the banks' certificates.
const tlsHost = "host.bank.test"

// tlsRig is a rig whose banks want TLS 1.2 or newer and a certificate of the
// switch, behind lines that can be broken.
func tlsRig(t *testing.T, ours *authority, sound *tls.Config) (*rig, map[string]*proxy, map[string]*terminator) {
	t.Helper()
	mine := ours.issue("switch", time.Now().Add(time.Hour))
	key, err := x509.MarshalECPrivateKey(mine.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	certFile := ours.file("switch.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: mine.Certificate[0]}))
	keyFile := ours.file("switch.key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key}))
	ends, lines := map[string]*terminator{}, map[string]*proxy{}
	r := newRigWith(t, rigPlan{eager: true, links: 1,
		bank: fmt.Sprintf("    echo: {interval: %s, timeout: %s, misses: 2}\n    tls: {ca: %s, cert: %s, key: %s, server_name: %s, min_version: \"1.3\"}\n",
			echoEvery, echoEvery/3, ours.file("ca.pem", ours.pem), certFile, keyFile, tlsHost),
		via: func(id, address string) string {
			ends[id] = newTerminator(t, address, sound)
			lines[id] = newProxy(t, ends[id].Addr().String())
			return lines[id].address
		}})
	r.start()
	r.awaitReady()
	return r, lines, ends
}

// TestTLSLinks breaks the TLS of one bank in every way: the link is not made,
// the reason is said, payments there are refused without a trace and the other
// bank goes on; and what was sent on a line that fell silent is resolved.
func TestTLSLinks(t *testing.T) {
	t.Parallel()
	ours, strangers := newAuthority(t, t.TempDir()), newAuthority(t, t.TempDir())
	later := time.Now().Add(time.Hour)
	sound := &tls.Config{Certificates: []tls.Certificate{ours.issue(tlsHost, later)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ours.pool()}
	showing := func(c tls.Certificate) *tls.Config {
		conf := sound.Clone()
		conf.Certificates = []tls.Certificate{c}
		return conf
	}
	trusting, old := sound.Clone(), sound.Clone()
	trusting.ClientCAs, old.MaxVersion = strangers.pool(), tls.VersionTLS12
	r, lines, ends := tlsRig(t, ours, sound)
	all := wishesFor("before", "alfa", cardApproved, 3)
	r.launch(all)()
	r.mustAnswer(all, 201)

	for n, fault := range []struct {
		name   string
		conf   *tls.Config
		line   func(p *proxy)
		reason string
	}{
		{"a certificate of strangers", showing(strangers.issue(tlsHost, later)), nil, "certificate is not trusted: its authority is unknown"},
		{"a certificate of another host", showing(ours.issue("other.bank.test", later)), nil, "certificate is not trusted: it is of another host"},
		{"an expired certificate", showing(ours.issue(tlsHost, time.Now().Add(-time.Hour))), nil, "certificate is not trusted: it has expired"},
		{"our certificate refused", trusting, nil, "the bank ended TLS: unknown certificate authority"},
		{"an old version", old, nil, "the bank ended TLS: protocol version not supported"},
		{"a handshake nobody answers", sound, func(p *proxy) { p.set(proxyHole) }, "dial: timed out"},
	} {
		ends["alfa"].conf.Store(fault.conf)
		if fault.line != nil {
			fault.line(lines["alfa"])
		}
		r.control("alfa", banksim.Control{Mode: banksim.ActDrop})
		r.await(fault.name+": the reason "+fault.reason, func() bool { return strings.Contains(r.parts()["bank alfa"], fault.reason) })
		all = append(all, r.refusedAt("alfa", fmt.Sprint("fault", n))...)
		other := wishesFor(fmt.Sprint("other", n), "vega", cardApproved, 2)
		r.launch(other)()
		r.mustAnswer(other, 201)
		all = append(all, other...)
		ends["alfa"].conf.Store(sound)
		lines["alfa"].set(proxyPass)
		r.awaitReady()
	}
	for n := range 12 { // the handshake or what follows it is cut at another byte each time
		lines["alfa"].cutAfter(1+n*190, n%2 == 0)
		r.control("alfa", banksim.Control{Mode: banksim.ActDrop})
		r.await("the cut", func() bool { return lines["alfa"].cutsMade() > n })
		r.awaitReady()
	}
	lines["alfa"].set(proxyHole)
	lost := wishesFor("lost", "alfa", cardApproved, 4)
	answered := r.launch(lost)
	r.down("alfa")
	answered()
	r.mustAnswer(lost, 202)
	lines["alfa"].set(proxyPass)
	r.awaitReady()
	reached(t, r.finish(append(all, lost...)), "captured -> captured", "unknown -> reversed", "refused")
}

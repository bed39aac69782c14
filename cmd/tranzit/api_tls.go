package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"sync/atomic"
)

// apiTLS is what the merchants' listener is encrypted with; nil: it is not.
// Without client_ca every client certificate is let in, and counts for those
// keys alone that pin its digest.
func (c *Config) apiTLS() (*tls.Config, error) {
	t := &c.HTTP.TLS
	if *t == (httpTLS{}) {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, ClientAuth: tls.RequestClientCert}
	switch t.MinVersion {
	case "", "1.2":
	case "1.3":
		out.MinVersion = tls.VersionTLS13
	default:
		return nil, c.fault("http.tls.min_version", "%q is not one of 1.2, 1.3", t.MinVersion)
	}
	switch {
	case t.Cert == "":
		return nil, c.fault("http.tls.cert", "a certificate is needed")
	case t.Key == "":
		return nil, c.fault("http.tls.key", "the key of the certificate is needed")
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, c.fault("http.tls.cert", "%v", err)
	}
	out.Certificates = []tls.Certificate{pair}
	if t.ClientCA != "" {
		pem, err := os.ReadFile(t.ClientCA)
		if err != nil {
			return nil, c.fault("http.tls.client_ca", "%v", err)
		}
		out.ClientCAs, out.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
		if !out.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, c.fault("http.tls.client_ca", "%s holds no certificate", t.ClientCA)
		}
	}
	return out, nil
}

// tlsListener encrypts the connections of a listener with what is in force when
// they begin. Each configuration has session tickets of its own, so that none
// outlives the authority it was checked against.
type tlsListener struct {
	net.Listener
	config atomic.Pointer[tls.Config]
}

// Accept does not wait for the handshake: the first read does.
func (l *tlsListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(nc, l.config.Load()), nil
}

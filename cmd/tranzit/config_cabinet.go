package main

import (
	"cmp"
	"crypto/tls"
	"net"
	"time"

	"github.com/tranzit/tranzit/frontend/cabinet"
	"github.com/tranzit/tranzit/switch/people"
)

// CabinetConfig says where the merchants' cabinet is; without a listener there is
// none.
type CabinetConfig struct {
	Listen  string        `yaml:"listen"`
	URL     string        `yaml:"url"`
	Cert    string        `yaml:"cert"`
	Key     string        `yaml:"key"`
	Idle    time.Duration `yaml:"idle"`
	Lasting time.Duration `yaml:"lasting"`
}

// cabinetURL is how browsers reach the cabinet.
func (c *Config) cabinetURL() string { return cmp.Or(c.Cabinet.URL, "http://"+c.Cabinet.Listen) }

// validateCabinet checks what is said of the cabinet.
func (c *Config) validateCabinet() error {
	y := &c.Cabinet
	if y.Listen == "" {
		if *y != (CabinetConfig{Idle: y.Idle, Lasting: y.Lasting}) {
			return c.fault("cabinet.listen", "is needed for anything else of the cabinet")
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(y.Listen); err != nil {
		return c.fault("cabinet.listen", "%q is not host:port", y.Listen)
	}
	if err := cabinet.CheckURL(c.cabinetURL()); err != nil {
		return c.fault("cabinet.url", "%v", err)
	}
	if y.Idle != 0 && (y.Idle < time.Minute || y.Idle > 24*time.Hour) {
		return c.fault("cabinet.idle", "%s is not within 1m..24h", y.Idle)
	}
	if lasting := cmp.Or(y.Lasting, people.DefaultLasting); lasting < cmp.Or(y.Idle, people.DefaultIdle) || lasting > people.MaxLasting {
		return c.fault("cabinet.lasting", "%s is not within cabinet.idle..%s", lasting, people.MaxLasting)
	}
	_, err := c.cabinetTLS()
	return err
}

// cabinetTLS is what the cabinet's listener is encrypted with; nil: it is not.
func (c *Config) cabinetTLS() (*tls.Config, error) {
	y := &c.Cabinet
	switch {
	case y.Cert == "" && y.Key == "":
		return nil, nil
	case y.Cert == "":
		return nil, c.fault("cabinet.cert", "a certificate is needed")
	case y.Key == "":
		return nil, c.fault("cabinet.key", "the key of the certificate is needed")
	}
	pair, err := tls.LoadX509KeyPair(y.Cert, y.Key)
	if err != nil {
		return nil, c.fault("cabinet.cert", "%v", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, Certificates: []tls.Certificate{pair}}, nil
}

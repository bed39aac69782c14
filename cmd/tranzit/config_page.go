package main

import (
	"net"

	"github.com/tranzit/tranzit/frontend/page"
)

// PageConfig is the payment page of checkout sessions.
type PageConfig struct {
	URL              string `yaml:"url"`
	SubmitsPerMinute int    `yaml:"submits_per_minute"`
	PressesPerMinute int    `yaml:"presses_per_minute"`
	ThreeDS          string `yaml:"three_ds"`
}

// validatePage checks what is said of the page. Zero stands for the default.
func (c *Config) validatePage() error {
	p := &c.Page
	if p.SubmitsPerMinute < 0 || p.SubmitsPerMinute > page.MaxSubmitsPerMinute {
		return c.fault("page.submits_per_minute", "%d is not within 0..%d", p.SubmitsPerMinute, page.MaxSubmitsPerMinute)
	}
	if p.PressesPerMinute < 0 || p.PressesPerMinute > page.MaxSubmitsPerMinute {
		return c.fault("page.presses_per_minute", "%d is not within 0..%d", p.PressesPerMinute, page.MaxSubmitsPerMinute)
	}
	if p.ThreeDS != "" && p.ThreeDS != "none" && p.ThreeDS != "simulated" {
		return c.fault("page.three_ds", "%q is not one of none, simulated", p.ThreeDS)
	}
	if p.URL == "" {
		return nil
	}
	if err := page.CheckURL(p.URL); err != nil {
		return c.fault("page.url", "%v", err)
	}
	return nil
}

// pageURL is where buyers reach the payment page: where the configuration says, else
// where the API listens.
func (a *app) pageURL(listens net.Addr, encrypted bool) string {
	switch {
	case a.cfg.Page.URL != "":
		return a.cfg.Page.URL
	case encrypted:
		return "https://" + listens.String()
	}
	return "http://" + listens.String()
}

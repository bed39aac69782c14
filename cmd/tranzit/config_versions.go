package main

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// canary is how many links of a bank speak its candidate, or which.
type canary payswitch.Canary

// UnmarshalYAML implements yaml.Unmarshaler: a number, or a list of link numbers.
func (c *canary) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return n.Decode(&c.Links)
	}
	return n.Decode(&c.Count)
}

// bankDialect reads the version of its dialect that a bank begins with. One that is not
// effective yet is refused; one that is no longer is an alarm of the running switch.
func (c *Config) bankDialect(i int) (*iso.Dialect, error) {
	path := fmt.Sprintf("banks[%d].dialect", i)
	d, err := iso.Resolve(c.Banks[i].Dialect)
	if err != nil {
		return nil, c.fault(path, "%v", err)
	}
	if now := time.Now(); now.Before(d.Effective()) {
		return nil, c.fault(path, "%v; until then name it as candidate", d.Due(now))
	}
	return d, nil
}

// bankCandidate reads the version that comes after a bank's dialect.
func (c *Config) bankCandidate(i int, current *iso.Dialect) (payswitch.Candidate, error) {
	y := &c.Banks[i].Candidate
	at := func(key string) string { return fmt.Sprintf("banks[%d].candidate.%s", i, key) }
	out := payswitch.Candidate{Canary: payswitch.Canary(y.Canary)}
	if y.Dialect == "" {
		if y.Canary.Count != 0 || len(y.Canary.Links) != 0 || y.Version != 0 {
			return out, c.fault(at("dialect"), "a candidate needs a dialect: a built-in name or a file")
		}
		return out, nil
	}
	d, err := iso.Resolve(y.Dialect)
	switch {
	case err != nil:
		return out, c.fault(at("dialect"), "%v", err)
	case d.Revision() == current.Revision():
		return out, c.fault(at("dialect"), "%s is the bank's dialect already; raise meta.version", d.Revision())
	case y.Version != 0 && y.Version != d.Version():
		return out, c.fault(at("version"), "%s holds version %d of %s", y.Dialect, d.Version(), d.ID())
	}
	out.Dialect = d
	return out, nil
}

// canaryFits checks which links of a bank speak its candidate from the start.
func (c *Config) canaryFits(i, links int) error {
	y, path := &c.Banks[i].Candidate.Canary, fmt.Sprintf("banks[%d].candidate.canary", i)
	if y.Count < 0 || y.Count > 0 && y.Count >= links || len(y.Links) > 0 && len(y.Links) >= links {
		return c.fault(path, "it takes some of the bank's links, of which there are %d, and leaves at least one", links)
	}
	for _, n := range y.Links {
		if n < 1 || n > links {
			return c.fault(path, "there is no link %d; the bank's links are 1 to %d", n, links)
		}
	}
	return nil
}

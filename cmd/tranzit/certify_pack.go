package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tranzit/tranzit/iso"
)

// certPack is a bank's test script.
type certPack struct {
	Title  string       `yaml:"title"`
	SignOn bool         `yaml:"sign_on"` // before the first case, when the dialect has one
	Values certDefaults `yaml:"values"`  // of every message that does not say otherwise
	Cases  []certCase   `yaml:"cases"`
}

// certDefaults are the values a pack gives once.
type certDefaults messageValues

type certCase struct {
	ID    string     `yaml:"id"`
	Title string     `yaml:"title"`
	Steps []certStep `yaml:"steps"`

	line int
}

// certStep sends a message and says what must come back, or waits for a message
// that the bank starts, which is answered as the dialect says.
type certStep struct {
	Name     string      `yaml:"name"`
	Send     messageText `yaml:"send"`
	Original string      `yaml:"original"` // the step whose message this one refers to
	MAC      string      `yaml:"mac"`      // of what is sent: right (the default), wrong or missing
	Receive  string      `yaml:"receive"`  // type of a message that the bank starts
	Expect   certExpect  `yaml:"expect"`
}

type certExpect struct {
	MTI    string         `yaml:"mti"`
	Fields map[int]string `yaml:"fields"`
	With   []int          `yaml:"with"`
	MAC    bool           `yaml:"mac"`    // the message must have an authentication code, which is checked in any case
	None   bool           `yaml:"none"`   // no answer may come
	Within time.Duration  `yaml:"within"` // default 10s
}

// UnmarshalYAML implements yaml.Unmarshaler: it remembers the line.
func (c *certCase) UnmarshalYAML(n *yaml.Node) error {
	type plain certCase
	c.line = n.Line
	return n.Decode((*plain)(c))
}

// loadPack reads a pack. Errors name the file and the case.
func loadPack(path string, d *iso.Dialect) (*certPack, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	p := new(certPack)
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: a pack is one YAML document", path)
	}
	if p.Title == "" || len(p.Cases) == 0 {
		return nil, fmt.Errorf("%s: a pack needs a title and cases", path)
	}
	seen := map[string]bool{}
	for i := range p.Cases {
		c := &p.Cases[i]
		if c.ID == "" || seen[c.ID] {
			return nil, fmt.Errorf("%s:%d: a case needs an id of its own", path, c.line)
		}
		seen[c.ID] = true
		if err := c.check(d); err != nil {
			return nil, fmt.Errorf("%s:%d: case %s: %w", path, c.line, c.ID, err)
		}
	}
	return p, nil
}

func (c *certCase) check(d *iso.Dialect) error {
	if len(c.Steps) == 0 {
		return errors.New("it has no steps")
	}
	names := map[string]bool{}
	for i := range c.Steps {
		s := &c.Steps[i]
		sends := s.Send.MTI != "" || s.Send.Operation != ""
		switch {
		case sends == (s.Receive != ""):
			return fmt.Errorf("step %d needs either send or receive", i+1)
		case !slices.Contains([]string{"", "right", "wrong", "missing"}, s.MAC):
			return fmt.Errorf("step %d: mac is right, wrong or missing", i+1)
		case (s.MAC != "" || s.Expect.MAC) && !d.HasMAC():
			return fmt.Errorf("step %d: dialect %s has no authentication codes", i+1, d.ID())
		case s.Original != "" && !names[s.Original]:
			return fmt.Errorf("step %d: no step before it is named %q", i+1, s.Original)
		case s.Expect.None && (s.Expect.MTI != "" || len(s.Expect.Fields)+len(s.Expect.With) > 0 || s.Expect.MAC):
			return fmt.Errorf("step %d expects no answer and something of it", i+1)
		case s.Expect.Within < 0 || s.Expect.Within > 10*time.Minute:
			return fmt.Errorf("step %d: within must be up to 10m", i+1)
		}
		for _, mti := range []string{s.Receive, s.Expect.MTI} {
			if _, err := iso.ParseMTI(mti); mti != "" && err != nil {
				return fmt.Errorf("step %d: %q is not a message type", i+1, mti)
			}
		}
		if s.Send.Operation != "" {
			op, err := parseOperation(s.Send.Operation)
			if err != nil || !d.Supports(op) {
				return fmt.Errorf("step %d: dialect %s has no message %q", i+1, d.ID(), s.Send.Operation)
			}
		}
		if s.Expect.Within == 0 {
			s.Expect.Within = 10 * time.Second
		}
		if s.Name != "" {
			names[s.Name] = true
		}
	}
	return nil
}

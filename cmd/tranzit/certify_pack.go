package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
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

// certStep does one thing: it sends a message and says what must come back, waits
// for a message that the bank starts, which is answered as the dialect says, for a late
// answer or for nothing, cuts or makes the link, or has the bank do something.
type certStep struct {
	Name     string      `yaml:"name"`
	Send     messageText `yaml:"send"`
	Original string      `yaml:"original"` // the step whose message this one refers to
	MAC      string      `yaml:"mac"`      // of what is sent: right (the default), wrong or missing
	Repeat   string      `yaml:"repeat"`   // the step whose message is sent again, as a repeat
	Receive  string      `yaml:"receive"`  // type, or network step, of a message that the bank starts
	Answer   string      `yaml:"answer"`   // to what is received: none leaves it without one
	Late     string      `yaml:"late"`     // the step whose answer comes now
	Link     string      `yaml:"link"`     // cut or connect

	Wait time.Duration `yaml:"wait"` // so long nothing is sent

	Do     string         `yaml:"do"`   // what the bank does now, for people
	Bank   map[string]any `yaml:"bank"` // the same for a simulator: what its control port takes
	Expect certExpect     `yaml:"expect"`
}

type certExpect struct {
	MTI    string         `yaml:"mti"`
	Fields map[int]string `yaml:"fields"`
	With   []int          `yaml:"with"`
	MAC    bool           `yaml:"mac"`    // the message must have an authentication code, which is checked in any case
	Result string         `yaml:"result"` // what field 39 means in the dialect
	None   bool           `yaml:"none"`   // no answer may come

	Refuted bool          `yaml:"refuted"` // the answer must disagree with its request
	Closed  bool          `yaml:"closed"`  // the host must close the connection
	Within  time.Duration `yaml:"within"`  // default 10s
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
		if err := s.check(d, names); err != nil {
			return fmt.Errorf("step %d %w", i+1, err)
		}
		for _, mti := range []string{s.Receive, s.Expect.MTI} {
			if _, err := iso.ParseMTI(mti); mti != "" && err != nil && (mti != s.Receive || d.NetworkStep(mti) == nil) {
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

// certResults are the words that result takes, besides those of declines.
var certResults = []string{"approved", "partial", "declined", "in_doubt", "done", "refused"}

// check holds a step to doing one thing; names are the steps before it.
func (s *certStep) check(d *iso.Dialect, names map[string]bool) error {
	kinds := 0
	for _, is := range []bool{s.Send.MTI != "" || s.Send.Operation != "", s.Repeat != "", s.Receive != "", s.Late != "", s.Link != "", s.Wait != 0, s.Do != ""} {
		if is {
			kinds++
		}
	}
	e := &s.Expect
	switch {
	case kinds != 1:
		return errors.New("needs one of send, repeat, receive, late, link, wait and do")
	case s.Bank != nil && s.Do == "":
		return errors.New("has a bank without do: what the bank does, for people")
	case s.Link != "" && s.Link != "cut" && s.Link != "connect":
		return fmt.Errorf("has the link %q; write cut or connect", s.Link)
	case s.Answer != "" && (s.Answer != "none" || s.Receive == ""):
		return errors.New("has an answer; write answer: none beside receive, or nothing")
	case s.Wait < 0 || s.Wait > 10*time.Minute:
		return errors.New("must wait up to 10m")
	case e.None && (e.MTI != "" || e.Result != "" || e.Refuted || e.MAC || len(e.Fields)+len(e.With) > 0):
		return errors.New("expects no answer and something of it")
	case e.Within < 0 || e.Within > 10*time.Minute:
		return errors.New("has a within that is not up to 10m")
	case e.Result != "" && !slices.Contains(certResults, e.Result) && !slices.Contains(iso.DeclineCodes(), e.Result):
		return fmt.Errorf("expects the result %q; write %s, or a decline", e.Result, strings.Join(certResults, ", "))
	case (s.MAC != "" || e.MAC) && !d.HasMAC():
		return fmt.Errorf("speaks of codes, and dialect %s has no authentication codes", d.ID())
	case s.MAC != "" && s.MAC != "right" && s.MAC != "wrong" && s.MAC != "missing":
		return fmt.Errorf("has mac %q; it is right, wrong or missing", s.MAC)
	}
	for _, name := range []string{s.Original, s.Repeat, s.Late} {
		if name != "" && !names[name] {
			return fmt.Errorf("refers to %q, and no step before it is named so", name)
		}
	}
	return nil
}

package iso

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// Limits of a set of retry rules.
const (
	MaxRetryWindow   = 30 * 24 * time.Hour // the longest RetryLimit.Within
	maxRetryDeclines = 1000
	maxStopDays      = 3650
)

// RetryRules say how often each scheme lets a declined card be tried again at
// one merchant: iso/retries.yaml, or a file in its place. They are immutable.
type RetryRules struct {
	schemes map[string]*SchemeRetries
	other   *SchemeRetries
}

// SchemeRetries are the rules of one scheme. They are read only.
type SchemeRetries struct {
	Stops      bool          // a final decline whose reason stops the card ends all attempts
	StopFor    time.Duration // for so long; 0: for good
	SameAmount bool          // Limits count declines of the same amount and currency only
	Limits     []RetryLimit
}

// RetryLimit allows at most so many declines within a time.
type RetryLimit struct {
	Declines int
	Within   time.Duration // at most MaxRetryWindow
}

// Of gives the rules of a card's brand (PAN.Brand), never nil.
func (r *RetryRules) Of(brand string) *SchemeRetries {
	if rules := r.schemes[brand]; rules != nil {
		return rules
	}
	return r.other
}

//go:embed retries.yaml
var retriesFile []byte

// Retries are the rules that come with the program.
var Retries = sync.OnceValue(func() *RetryRules {
	r, err := ParseRetryRules("retries.yaml", retriesFile)
	if err != nil {
		panic(err) // the file is part of the program, and every test reads it
	}
	return r
})

type schemeEntry struct {
	Stops      bool `yaml:"stops"`
	StopDays   int  `yaml:"stop_days"`
	SameAmount bool `yaml:"same_amount"`
	Limits     []struct {
		Declines    int `yaml:"declines"`
		WithinHours int `yaml:"within_hours"`
	} `yaml:"limits"`
}

// ParseRetryRules reads rules in the layout of iso/retries.yaml. Errors begin
// with the name given and tell the line or the scheme.
func ParseRetryRules(name string, text []byte) (*RetryRules, error) {
	var file struct {
		Version int                    `yaml:"version"`
		Schemes map[string]schemeEntry `yaml:"schemes"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if file.Version != 1 {
		return nil, fmt.Errorf("%s: version: must be 1", name)
	}
	if _, ok := file.Schemes[otherSchemes]; !ok {
		return nil, fmt.Errorf("%s: schemes.%s: the rules of all schemes not named are missing", name, otherSchemes)
	}
	r := &RetryRules{schemes: map[string]*SchemeRetries{}}
	for _, scheme := range slices.Sorted(maps.Keys(file.Schemes)) {
		entry := file.Schemes[scheme]
		if what := entry.fault(scheme); what != "" {
			return nil, fmt.Errorf("%s: schemes.%s: %s", name, scheme, what)
		}
		r.schemes[scheme] = entry.rules()
	}
	r.other = r.schemes[otherSchemes]
	return r, nil
}

const otherSchemes = "other"

func (e *schemeEntry) rules() *SchemeRetries {
	s := &SchemeRetries{Stops: e.Stops, StopFor: time.Duration(e.StopDays) * 24 * time.Hour, SameAmount: e.SameAmount}
	for _, l := range e.Limits {
		s.Limits = append(s.Limits, RetryLimit{Declines: l.Declines, Within: time.Duration(l.WithinHours) * time.Hour})
	}
	return s
}

// fault says what is wrong with the rules of a scheme, or nothing.
func (e *schemeEntry) fault(scheme string) string {
	known := scheme == otherSchemes
	for _, r := range brandRanges {
		known = known || r.brand == scheme
	}
	switch {
	case !known:
		return "there is no such brand of cards"
	case e.StopDays < 0 || e.StopDays > maxStopDays:
		return fmt.Sprintf("stop_days must be 0 to %d", maxStopDays)
	case len(e.Limits) > 8:
		return "at most 8 limits are taken"
	}
	for _, l := range e.Limits {
		switch {
		case l.Declines < 1 || l.Declines > maxRetryDeclines:
			return fmt.Sprintf("declines must be 1 to %d", maxRetryDeclines)
		case l.WithinHours < 1 || time.Duration(l.WithinHours)*time.Hour > MaxRetryWindow:
			return fmt.Sprintf("within_hours must be 1 to %d", int(MaxRetryWindow.Hours()))
		}
	}
	return ""
}

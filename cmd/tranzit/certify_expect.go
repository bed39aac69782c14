package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tranzit/tranzit/iso"
)

func (e *certExpect) check(d *iso.Dialect, request *iso.Message, answer *certFrame) error {
	if e.MTI != "" && answer.m.MTI.String() != e.MTI {
		return fmt.Errorf("the answer has type %s, not %s", answer.m.MTI, e.MTI)
	}
	err := d.Verify(request, &answer.m)
	switch {
	case e.Refuted && err == nil:
		return errors.New("the answer agrees with its request, and it may not")
	case e.Refuted:
		return nil
	case err != nil:
		return err
	}
	if err := e.judge(d, request, answer.m.Get(39)); err != nil {
		return err
	}
	return e.checkFields(d, answer)
}

// judge holds a response code against the result that is expected.
func (e *certExpect) judge(d *iso.Dialect, request *iso.Message, code []byte) error {
	if e.Result == "" {
		return nil
	}
	got := resultOf(d, request.MTI, string(code))
	if !slices.Contains(got, e.Result) {
		return fmt.Errorf("code %s means %s, and %s is expected", code, got[0], e.Result)
	}
	return nil
}

// resultOf says in words what a response code means to what was asked, the most
// telling word first.
func resultOf(d *iso.Dialect, asked iso.MTI, code string) []string {
	if asked.Class() == 8 {
		if d.NetworkDone(code) {
			return []string{"approved", "done"}
		}
		return []string{"declined"}
	}
	verdict := d.AdviceAnswer(code)
	if asked.Class() == 4 {
		verdict = max(verdict, d.ReversalAnswer(code))
	}
	if asked.Class() == 4 || asked.Function() == 2 {
		switch verdict {
		case iso.ReversalDone:
			return []string{"approved", "done"}
		case iso.ReversalManual:
			return []string{"declined", "refused"}
		}
		return []string{"in_doubt"}
	}
	switch meaning := d.Code(code); {
	case meaning.InDoubt:
		return []string{"in_doubt"}
	case meaning.Partial:
		return []string{"partial"}
	case meaning.Approved:
		return []string{"approved"}
	default:
		return []string{meaning.Decline, "declined"}
	}
}

// open and closed hold how the host left the link against what must be.
func (e *certExpect) open() error {
	if e.Closed {
		return errors.New("the host keeps the connection, and must close it")
	}
	return nil
}

func (e *certExpect) closed(err error) error {
	if e.Closed && errors.Is(err, errClosed) {
		return nil
	}
	return err
}

func (e *certExpect) checkFields(d *iso.Dialect, f *certFrame) error {
	m := &f.m
	switch {
	case f.mac != nil:
		return fmt.Errorf("the message from the host: %w", f.mac)
	case e.MAC && !d.Sealed(m, iso.FromBank):
		return fmt.Errorf("the dialect has no authentication code in a %s from the host", m.MTI)
	}
	for f := 2; f <= iso.MaxField; f++ {
		want, given := e.Fields[f]
		if given && string(m.Get(f)) != want {
			return fmt.Errorf("field %d (%s) is not the %q that is expected", f, d.FieldName(f), want)
		}
	}
	for _, f := range e.With {
		if !m.Has(f) {
			return fmt.Errorf("field %d (%s) is missing", f, d.FieldName(f))
		}
	}
	return nil
}

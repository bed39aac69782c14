package main

import (
	"fmt"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/iso"
)

// dialectSpeed is what one authorization costs in one dialect.
type dialectSpeed struct {
	Dialect     string  `json:"dialect"`
	Bytes       int     `json:"bytes"`       // of the frame
	Fields      int     `json:"fields"`      // of the message
	Nanoseconds float64 `json:"nanoseconds"` // the least of all rounds
	Allocations float64 `json:"allocations"`
	Ratio       float64 `json:"ratio"` // to the fastest dialect

	d     *iso.Dialect
	m     iso.Message
	frame []byte
}

func benchDialectsCommand() *cobra.Command {
	rounds, length := 40, 5*time.Millisecond
	var asJSON bool
	c := &cobra.Command{
		Use:   "dialects [NAME|FILE...]",
		Short: "Measure what one authorization costs in each dialect, beside the fastest",
		Long: `Dialects writes one authorization as a frame and reads it again, over and over, in every
built-in dialect and in those that are named. The dialects take turns, and the least of
all rounds counts, so that what else the machine does says little. An authorization in
one dialect may have more fields than in another: both numbers are told.`,
		Args: args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, names []string) error {
			if rounds < 1 || rounds > 10_000 || length < 10*time.Microsecond || length > time.Second {
				return usageError{fmt.Errorf("--rounds must be within 1..10000 and --round within 10us..1s")}
			}
			all, err := dialectSpeeds(append(iso.Builtins(), names...))
			if err != nil {
				return err
			}
			for range rounds {
				for _, s := range all {
					if err := s.round(length); err != nil {
						return fmt.Errorf("%s: %w", s.Dialect, err)
					}
				}
			}
			compareSpeeds(all)
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]any{"dialects": all})
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "dialect\tfields\tbytes\tns\tallocations\tratio")
			for _, s := range all {
				fmt.Fprintf(w, "%s\t%d\t%d\t%.0f\t%.0f\t%.2f\n", s.Dialect, s.Fields, s.Bytes, s.Nanoseconds, s.Allocations, s.Ratio)
			}
			return w.Flush()
		},
	}
	c.Flags().IntVar(&rounds, "rounds", rounds, "turns of each dialect")
	c.Flags().DurationVar(&length, "round", length, "length of a turn")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func dialectSpeeds(names []string) ([]*dialectSpeed, error) {
	values, err := (&messageValues{PAN: "4111111111111111", Expiry: "3012", CVC: "123", Amount: 12500, Currency: "EUR", STAN: 123, RRN: "616308000123",
		SentAt: time.Date(2026, 6, 12, 8, 20, 1, 0, time.UTC), Terminal: "TERM0001", Merchant: "MERCHANT0000001", MCC: "5411",
		NameLocation: "DEMO SHOP 1           BERLIN       BE DE", Country: "276", Acquirer: "123456"}).values()
	if err != nil {
		return nil, err
	}
	var all []*dialectSpeed
	for _, name := range names {
		d, err := iso.Resolve(name)
		if err != nil {
			return nil, err
		}
		s, op := &dialectSpeed{Dialect: d.ID(), d: d}, iso.OpAuthorization
		if !d.Supports(op) {
			op = iso.OpPurchase
		}
		if err := d.Build(op, &values, &s.m); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if s.frame, err = d.AppendFrame(nil, &s.m); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for range s.m.Fields {
			s.Fields++
		}
		s.Bytes = len(s.frame)
		all = append(all, s)
	}
	return all, nil
}

// round writes and reads the message for a time.
func (s *dialectSpeed) round(length time.Duration) error {
	var back iso.Message
	var before, after runtime.MemStats
	if err := s.once(&back); err != nil {
		return err
	}
	runtime.ReadMemStats(&before)
	n, began := 0, time.Now()
	for ; n == 0 || time.Since(began) < length; n += 64 {
		for range 64 {
			if err := s.once(&back); err != nil {
				return err
			}
		}
	}
	took := float64(time.Since(began).Nanoseconds()) / float64(n)
	runtime.ReadMemStats(&after)
	if s.Nanoseconds == 0 || took < s.Nanoseconds {
		s.Nanoseconds = took
	}
	s.Allocations = float64(after.Mallocs-before.Mallocs) / float64(n)
	return nil
}

func (s *dialectSpeed) once(back *iso.Message) (err error) {
	if s.frame, err = s.d.AppendFrame(s.frame[:0], &s.m); err != nil {
		return err
	}
	body, _, err := s.d.NextFrame(s.frame)
	if err != nil {
		return err
	}
	return s.d.Decode(body, back)
}

func compareSpeeds(all []*dialectSpeed) {
	least := all[0].Nanoseconds
	for _, s := range all {
		least = min(least, s.Nanoseconds)
	}
	for _, s := range all {
		s.Ratio = s.Nanoseconds / least
	}
}

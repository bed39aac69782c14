package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/bench/curves"
	"github.com/tranzit/tranzit/bench/report"
)

func benchCurveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "curve",
		Short: "Measure how a cost grows: one curve per command, written as JSON",
		Long: `Curve measures one cost at several values: one JSON document, which bench report
draws. A point that the machine cannot carry, or whose books do not agree, is in it
with the reason.`,
	}
	for _, name := range curves.Names() {
		c.AddCommand(oneCurveCommand(name))
	}
	return c
}

func oneCurveCommand(name string) *cobra.Command {
	title, method := curves.About(name)
	var settings curves.Settings
	var points []string
	var out string
	c := &cobra.Command{
		Use:   name,
		Short: title,
		Long:  title + ". " + method,
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, text := range points {
				x, err := pointOf(text, curves.Takes(name))
				if err != nil {
					return usageError{err}
				}
				settings.Points = append(settings.Points, x)
			}
			settings.Progress = cmd.ErrOrStderr()
			curve, err := curves.Measure(cmd.Context(), name, settings)
			if err != nil {
				return err
			}
			if out == "" {
				return printJSON(cmd.OutOrStdout(), curve)
			}
			f, err := os.OpenFile(out, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			if err := printJSON(f, curve); err != nil {
				_ = f.Close()
				return err
			}
			return f.Close()
		},
	}
	f := c.Flags()
	f.StringSliceVar(&points, "points", nil, "values to measure at, rising: numbers (1000, 10k, 1e6) or times (500us, 2s)")
	f.IntVar(&settings.Seconds, "seconds", 0, "measured time of a point (default 5)")
	f.IntVarP(&settings.Connections, "connections", "c", 0, "connections of a closed loop (default 256)")
	f.Float64Var(&settings.Rate, "rate", 0, "payments per second of the open loop of think-time (default 1000)")
	f.StringVar(&settings.Parent, "data", "", "parent of the data directories (default: the system's temporary one)")
	f.StringVarP(&out, "output", "o", "", "file for the JSON (default: standard output)")
	return c
}

// pointOf reads a value of a curve: a time becomes microseconds.
func pointOf(text string, as report.Format) (float64, error) {
	if as == report.FormatOfMicros {
		if text == "0" {
			return 0, nil
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, fmt.Errorf("points: %q is not a time such as 500us or 2s", text)
		}
		return float64(d) / 1e3, nil
	}
	number, factor := text, 1.0
	switch {
	case strings.HasSuffix(text, "k"):
		number, factor = strings.TrimSuffix(text, "k"), 1e3
	case strings.HasSuffix(text, "M"):
		number, factor = strings.TrimSuffix(text, "M"), 1e6
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("points: %q is not a number such as 1000, 10k or 1e6", text)
	}
	return v * factor, nil
}

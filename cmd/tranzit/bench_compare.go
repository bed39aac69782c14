package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/bench"
	"github.com/tranzit/tranzit/bench/curves"
	"github.com/tranzit/tranzit/bench/report"
)

func benchCompareCommand() *cobra.Command {
	var asJSON bool
	turns := curves.Turns{}
	var parent string
	c := &cobra.Command{
		Use:   "compare A B",
		Short: "Measure two programs in turns, or compare two saved results",
		Long: `Compare loads A and B in turns, A B B A A B ..., each run with a process and a
journal of its own, and prints the ratios A/B of payments per second, CPU per
payment and latency with bootstrap 95 % intervals, and what they allow to say.

A and B are each a tranzit binary, or one of the words
  this   this program
  bare   the bare path: the floor of what a payment costs
  plain  the plain stack: what the libraries give without more work
or both are files with the runs of one subject each, as bench run --json and
bench compare --json write them; then nothing is run.`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, names []string) error {
			comparison, err := compareSaved(names)
			if err != nil {
				return err
			}
			if comparison == nil {
				for _, name := range names {
					s, err := subjectOf(name)
					if err != nil {
						return err
					}
					s.Plan.Parent = parent
					turns.Subjects = append(turns.Subjects, s)
				}
				turns.Progress = cmd.ErrOrStderr()
				if comparison, err = curves.Compare(cmd.Context(), turns); err != nil {
					return err
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), comparison)
			}
			return comparison.WriteText(cmd.OutOrStdout())
		},
	}
	f := c.Flags()
	f.IntVar(&turns.Rounds, "rounds", 6, "rounds that count")
	f.IntVar(&turns.Discard, "discard", 1, "rounds run first and forgotten")
	loadFlags(c, &turns.Load)
	f.StringVar(&parent, "data", "", "parent of the data directories (default: the system's temporary one)")
	f.BoolVar(&asJSON, "json", false, "print JSON, with every run")
	return c
}

// loadFlags are the flags of a load that is the same for several subjects.
func loadFlags(c *cobra.Command, o *bench.Options) {
	f := c.Flags()
	f.IntVarP(&o.Connections, "connections", "c", 256, "connections")
	f.Float64Var(&o.Rate, "rate", 0, "payments due per second; 0: closed loop")
	f.BoolVar(&o.Poisson, "poisson", false, "with --rate: random instead of even spacing")
	f.DurationVarP(&o.Duration, "duration", "d", 5*time.Second, "measured time of a run")
	f.DurationVar(&o.Warmup, "warmup", 2*time.Second, "time before that, in every run")
}

// subjectOf is the subject that a word or a path of the command line names.
func subjectOf(name string) (curves.Subject, error) {
	switch name {
	case "this":
		return curves.Subject{Name: name}, nil
	case string(curves.Bare), string(curves.Plain):
		return curves.Subject{Name: name, Plan: curves.Plan{Kind: curves.Kind(name)}}, nil
	}
	path, err := filepath.Abs(name)
	if err != nil {
		return curves.Subject{}, err
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return curves.Subject{}, usageError{fmt.Errorf("%s is not a program, nor one of the words this, bare, plain", name)}
	}
	return curves.Subject{Name: name, Plan: curves.Plan{Binary: path}}, nil
}

// compareSaved is nil when the names are not two JSON files.
func compareSaved(names []string) (*report.Comparison, error) {
	var runs [2][]*bench.Result
	files := 0
	for i, name := range names {
		if !strings.EqualFold(filepath.Ext(name), ".json") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if runs[i], err = report.Runs(report.File{Name: name, Text: text}); err != nil {
			return nil, err
		}
		files++
	}
	switch files {
	case 0:
		return nil, nil
	case 1:
		return nil, usageError{errors.New("a saved result is compared with another one")}
	}
	c, err := bench.CompareResults(runs[0], runs[1])
	if err != nil {
		return nil, fmt.Errorf("%s has %d runs, %s has %d: %w", names[0], len(runs[0]), names[1], len(runs[1]), err)
	}
	return &report.Comparison{Kind: report.KindComparison, NameA: names[0], NameB: names[1], Comparison: *c}, nil
}

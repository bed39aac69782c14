package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/bench/goals"
)

func benchGoalsCommand() *cobra.Command {
	var o goals.Options
	var asJSON bool
	c := &cobra.Command{
		Use:   "goals",
		Short: "Measure the goals of the payment path and print which are met",
		Long: `Goals measures every goal of the payment path on this machine and prints one line
for each: gate, ambition, what was measured, met or MISSED. A figure whose run does
not count is not shown; the line says why.

The short set takes under five minutes on two cores; where it measures less than
the goal asks for, the line says so. --full measures all of it and takes hours.

Missed goals are a finding, not a failure: the exit code is 1 only when something
could not be run.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Progress = cmd.ErrOrStderr()
			found, failed := goals.Measure(cmd.Context(), o)
			if found == nil {
				return failed
			}
			var err error
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), found)
			} else {
				err = found.WriteText(cmd.OutOrStdout())
			}
			if err != nil {
				return err
			}
			return failed
		},
	}
	f := c.Flags()
	f.BoolVar(&o.Full, "full", false, "measure what the goals ask for, 60 s of open loop among it, however long it takes")
	f.StringSliceVar(&o.Only, "only", nil, "parts to measure: "+strings.Join(goals.Parts(), ", "))
	f.IntVar(&o.Rounds, "rounds", 0, "rounds of the comparisons (default 4, with --full 10)")
	f.IntVar(&o.Seconds, "seconds", 0, "measured time of a run (default 3, with --full 10)")
	f.StringVar(&o.Parent, "data", "", "parent of the data directories (default: the system's temporary one)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

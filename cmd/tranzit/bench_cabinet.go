package main

import (
	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/bench"
)

func benchCabinetCommand() *cobra.Command {
	o := bench.CabinetOptions{Merchant: "mer_bench"}
	run := bench.Options{Connections: 64}
	f := benchFlags{dialect: "binary87", delay: "0s", cabinet: true}
	var asJSON bool
	c := &cobra.Command{
		Use:   "cabinet",
		Short: "Measure what purchases lose while people look at the cabinet",
		Long: `Cabinet loads a switch of its own in a closed loop. In one half of each round people
look at the cabinet, each of whom is told of news every three seconds and opens a
payment now and then; the halves follow each other in the same load.

A missed goal is a finding, not a failure.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Log = cmd.ErrOrStderr()
			o.Prepare = func() (bench.Options, func(), error) {
				one := run
				cleanup, err := prepareBench(&one, f)
				return one, cleanup, err
			}
			found, err := bench.MeasureCabinet(cmd.Context(), o)
			switch {
			case err != nil:
				return err
			case asJSON:
				return printJSON(cmd.OutOrStdout(), found)
			}
			return found.WriteText(cmd.OutOrStdout())
		},
	}
	flags := c.Flags()
	flags.IntVar(&o.Rounds, "rounds", 0, "rounds (default 30)")
	flags.IntVar(&o.People, "people", 0, "who look at once, 1 to 1000 (default 20)")
	flags.IntVarP(&run.Connections, "connections", "c", run.Connections, "connections of the load")
	flags.DurationVarP(&o.Span, "duration", "d", 0, "measured time of half a round (default 2s)")
	flags.StringVar(&f.data, "data", "", "parent of the data directories (default: the system's temporary one)")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

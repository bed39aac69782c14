package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/bench"
)

func benchWebhooksCommand() *cobra.Command {
	var o bench.WebhookOptions
	run := bench.Options{Connections: 64, Duration: 3 * time.Second}
	f := benchFlags{dialect: "binary87", delay: "0s"}
	var asJSON bool
	c := &cobra.Command{
		Use:   "webhooks",
		Short: "Measure the delivery of webhooks, and purchases beside dead receivers",
		Long: `Webhooks loads a switch of its own three times in each round, closed loop: without
a webhook endpoint, with endpoints whose receivers never answer or are not there,
and with one that answers at once. The events of the last load are then sent to it
again, with nothing else to do, which gives the rate of delivery.

Missed goals are a finding, not a failure.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Log = cmd.ErrOrStderr()
			o.Prepare = func() (bench.Options, func(), error) {
				one := run
				cleanup, err := prepareBench(&one, f)
				return one, cleanup, err
			}
			found, err := bench.MeasureWebhooks(cmd.Context(), o)
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
	flags.IntVar(&o.Rounds, "rounds", 0, "rounds (default 5)")
	flags.IntVar(&o.Dead, "dead", 0, "dead endpoints, 1 to 16: every second has nobody listening, the others never answer (default 2)")
	flags.IntVarP(&run.Connections, "connections", "c", run.Connections, "connections of the load")
	flags.DurationVarP(&run.Duration, "duration", "d", run.Duration, "measured time of a load")
	flags.StringVar(&f.data, "data", "", "parent of the data directories (default: the system's temporary one)")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

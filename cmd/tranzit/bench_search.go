package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/bench"
)

func benchSearchCommand() *cobra.Command {
	var s bench.Search
	f := benchFlags{scenarioFlags: scenarioFlags{speed: 1}}
	c := &cobra.Command{
		Use:   "search",
		Short: "Find the highest rate at which the switch keeps its latency",
		Long: `Search starts a switch and its bank once and loads them at one rate after another,
at random times, latency counted from the moment a payment was due. The rate grows by
a factor until the switch misses the bound or answers less than its share; then the
gap is halved. At the end twice the found rate is offered, to see what the switch
still achieves. A point at which the generator itself was late is marked
generator-bound and ends the growth: it says nothing about the switch.

The money check is made after every step. With --json the curve is written for
tranzit bench report, which draws it.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cleanup, err := prepareBench(&s.Load, f)
			if err != nil {
				return err
			}
			defer cleanup()
			s.Load.Progress = cmd.ErrOrStderr()
			found, err := s.Run(cmd.Context())
			if err != nil {
				return err
			}
			if f.json {
				err = printJSON(cmd.OutOrStdout(), found)
			} else {
				err = found.WriteText(cmd.OutOrStdout())
			}
			if err == nil && !found.Valid {
				err = fmt.Errorf("the search does not count; see above")
			}
			return err
		},
	}
	flags := c.Flags()
	flags.DurationVar(&s.Bound, "p99", 50*time.Millisecond, "what 99 % of the payments must keep")
	flags.Float64Var(&s.Share, "share", 0.98, "part of the offered rate that must be achieved")
	flags.Float64Var(&s.From, "from", 1000, "first rate, payments per second")
	flags.Float64Var(&s.MaxRate, "to", 200_000, "highest rate")
	flags.Float64Var(&s.Growth, "growth", 1.5, "factor between rates")
	flags.Float64Var(&s.Precision, "precision", 0.05, "how near the result must come, as a part of it")
	flags.DurationVar(&s.Step, "step", 4*time.Second, "measured time at one rate")
	flags.Float64Var(&s.Overload, "overload", 2, "multiple of the result that is offered at the end; -1: none")
	flags.IntVarP(&s.Load.Connections, "connections", "c", 0, "connections (default 512)")
	flags.IntVar(&s.Load.Workers, "workers", 1, "threads of the generator")
	flags.DurationVar(&s.Load.Warmup, "warmup", 0, "time before each step (default 1s)")
	flags.StringVar(&s.Load.Target, "target", "", "base address of a running switch, http://host:port")
	flags.StringSliceVar(&s.Load.Keys, "key", nil, "API keys for --target")
	flags.StringVar(&s.Load.Admin, "admin", "", "admin address of --target, http://host:port")
	flags.StringSliceVar(&s.Load.Books, "books", nil, "books of the simulated banks behind --target")
	flags.StringVar(&f.scenario, "scenario", "", "take merchants, banks, cards and mix from this scenario")
	flags.StringVar(&f.data, "data", "", "parent of the data directory (default: the system's temporary one)")
	flags.StringVar(&f.dialect, "dialect", "binary87", "dialect of the simulated bank")
	flags.StringVar(&f.delay, "bank-delay", "0s", "think time of the simulated bank")
	flags.BoolVar(&f.bare, "bare", false, "load the bare path instead of the switch")
	flags.BoolVar(&f.plain, "plain", false, "load the plain stack instead of the switch")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	return c
}

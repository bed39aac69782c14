package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/acquirers/banksim"
	"github.com/tranzit/tranzit/iso"
)

func bankCommand() *cobra.Command {
	var dialect string
	cfg := banksim.Config{}
	keys := map[string]string{}
	c := &cobra.Command{
		Use:   "bank --dialect NAME (--listen ADDR | --connect ADDR)",
		Short: "Run a simulated bank host with books of its own",
		Long: `Bank answers ISO 8583 requests in one dialect, as a bank's host would. It keeps
its own books, readable as JSON, and misbehaves on demand: by card, by amount,
or by a call to its control port. With --connect it dials the switch instead of
waiting for it, and dials again whenever a link ends.

Test cards:

` + cardTable(),
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := iso.Resolve(dialect)
			if err != nil {
				return err
			}
			cfg.Dialect = d
			if cfg.Keys, err = testKeys(d, keys); err != nil {
				return err
			}
			sim, err := banksim.New(cfg)
			if err != nil {
				return err
			}
			if err := sim.Start(); err != nil {
				return err
			}
			where := "listens on " + sim.Addr()
			if cfg.Connect != "" {
				where = "dials " + cfg.Connect
			}
			fmt.Fprintf(cmd.OutOrStdout(), "bank %s %s", d.ID(), where)
			if books := sim.BooksAddr(); books != "" {
				fmt.Fprintf(cmd.OutOrStdout(), ", books on http://%s/books", books)
			}
			fmt.Fprintln(cmd.OutOrStdout())
			<-cmd.Context().Done()
			return sim.Close()
		},
	}
	c.Flags().StringVar(&dialect, "dialect", "ascii87", "built-in dialect or dialect file")
	c.Flags().StringVar(&cfg.Listen, "listen", "127.0.0.1:9101", "address for the switch")
	c.Flags().StringVar(&cfg.Connect, "connect", "", "host:port of a switch to dial; nothing is listened on")
	c.Flags().IntVar(&cfg.ConnectLinks, "links", 1, "with --connect: links to keep")
	c.Flags().BoolVar(&cfg.SignsOn, "sign-on", false, "with --connect: the bank sends the sign-on")
	c.MarkFlagsMutuallyExclusive("connect", "listen")
	c.Flags().StringVar(&cfg.BooksListen, "books", "", "address for the books and the control port; empty: none")
	testKeyFlag(c, &keys)
	c.Flags().DurationVar(&cfg.Delay, "delay", 0, "think time before every answer")
	c.Flags().DurationVar(&cfg.LateBy, "late-by", 20*time.Second, "how late the late-answer cards answer")
	c.Flags().BoolVar(&cfg.AmountTriggers, "amount-triggers", false, "let the last two digits of an amount choose a fault")
	return c
}

func cardTable() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, card := range banksim.Cards() {
		fmt.Fprintf(w, "  %s\t%s\n", card.Number, card.Does)
	}
	_ = w.Flush()
	return b.String()
}

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check and print configurations"}
	c.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: "Validate everything that can be validated without the network",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			cfg, err := LoadConfig(files[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is good: %d banks, %d merchants\n", files[0], len(cfg.Banks), len(cfg.Merchants))
			return nil
		},
	}, &cobra.Command{
		Use:   "example",
		Short: "Print the commented example with every key",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := os.Stdout.Write(exampleConfig)
			return err
		},
	})
	return c
}

package main

import (
	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/bench/plain"
)

// plainCommand is the process that `bench run --plain` loads.
func plainCommand() *cobra.Command {
	var o plain.Options
	c := &cobra.Command{
		Use:    "plain",
		Short:  "Serve the plain stack: stock libraries, one synced commit per record",
		Hidden: true,
		Args:   args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := plain.Start(o)
			if err != nil {
				return err
			}
			<-cmd.Context().Done()
			return s.Close()
		},
	}
	c.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:0", "HTTP address")
	c.Flags().StringVar(&o.Dir, "dir", "", "folder of the store")
	c.Flags().StringVar(&o.Bank, "bank", "", "address of the bank's host")
	c.Flags().StringVar(&o.Dialect, "dialect", "binary87", "ascii87 or binary87")
	c.Flags().StringSliceVar(&o.Keys, "key", nil, "API keys that are let in")
	c.Flags().IntVar(&o.Links, "links", 0, "links to the bank (default 2)")
	return c
}

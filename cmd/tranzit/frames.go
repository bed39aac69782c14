package main

import (
	"fmt"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/acquirers"
)

func framesCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{
		Use:   "frames BANK",
		Short: "Show the flight recorder: the latest frames of each link, without card data",
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			var got struct {
				Data []acquirers.Frame `json:"data"`
			}
			if err := getAdmin(address, "/admin/v1/banks/"+url.PathEscape(given[0])+"/frames", &got); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "time\tlink\tway\ttype\tstan\trrn\tcode\tbytes")
			for _, f := range got.Data {
				kind := f.MTI
				if f.Garbled {
					kind = "garbled"
				}
				fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%d\n", f.At.Format("15:04:05.000000"), f.Link, f.Direction, kind, f.STAN, f.RRN, f.Code, f.Bytes)
			}
			return w.Flush()
		},
	}
	addAdminFlags(c, &address, &asJSON)
	return c
}

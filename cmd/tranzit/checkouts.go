package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend/admin"
)

// checkoutCommand is what operators do about payment links.
func checkoutCommand() *cobra.Command {
	c := &cobra.Command{Use: "checkout", Short: "See the checkout sessions of a merchant, send their links and end them"}
	c.AddCommand(checkoutListCommand(), checkoutShowCommand(),
		checkoutActCommand("expire SESSION", "End a session that is not paid: a payment link is revoked", nil),
		checkoutActCommand("send SESSION", "Send the link of a session: to --email, --phone, or the session's own address", func(c *cobra.Command, a *admin.CheckoutAct) {
			c.Flags().StringVar(&a.Email, "email", "", "address")
			c.Flags().StringVar(&a.Phone, "phone", "", "telephone number like +74951234567, for an SMS")
			c.Flags().StringVar(&a.Language, "language", "", "of the letter: en, ru or es; default that of the session")
		}))
	return c
}

func checkoutListCommand() *cobra.Command {
	var address, merchant string
	var asJSON, live bool
	c := &cobra.Command{Use: "list --merchant MERCHANT", Short: "List a merchant's sessions, the newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			mode := "test"
			if live {
				mode = "live"
			}
			var got struct {
				Data []admin.Checkout `json:"data"`
			}
			if err := getAdmin(address, "/admin/v1/checkouts?limit=1000&mode="+mode+"&merchant="+url.QueryEscape(merchant), &got); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "session\tstatus\torder\tamount\tcurrency\tletters\tends")
			for _, s := range got.Data {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%d\t%s\n", s.ID, s.Status, s.OrderID, s.Amount, s.Currency, len(s.Sent), s.ExpiresAt.Format(time.RFC3339))
			}
			return w.Flush()
		}}
	addAdminFlags(c, &address, &asJSON)
	c.Flags().StringVar(&merchant, "merchant", "", "the merchant's id (required)")
	c.Flags().BoolVar(&live, "live", false, "the sessions of live mode")
	require(c, "merchant")
	return c
}

func checkoutShowCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "show SESSION", Short: "Show one session, its link and the letters with it", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			var s admin.Checkout
			if err := getAdmin(address, "/admin/v1/checkouts/"+url.PathEscape(given[0]), &s); err != nil {
				return err
			}
			return printCheckout(cmd.OutOrStdout(), &s, asJSON)
		}}
	addAdminFlags(c, &address, &asJSON)
	return c
}

func printCheckout(out io.Writer, s *admin.Checkout, asJSON bool) error {
	if asJSON {
		return printJSON(out, s)
	}
	mode := "test"
	if s.Live {
		mode = "live"
	}
	fmt.Fprintf(out, "%s  %s  %s %s  order %s  %d %s  %d attempts  ends %s\n", s.ID, s.Status, s.Merchant, mode, s.OrderID, s.Amount, s.Currency, s.Attempts, s.ExpiresAt.Format(time.RFC3339))
	if s.Payment != "" {
		fmt.Fprintln(out, "payment", s.Payment)
	}
	if s.URL != "" {
		fmt.Fprintln(out, s.URL)
	}
	for _, y := range s.Sent {
		fmt.Fprintf(out, "%s  %s to %s: %s\n", y.Due.Format(time.RFC3339), y.Channel, y.To, y.State)
	}
	return nil
}

func checkoutActCommand(use, short string, flags func(*cobra.Command, *admin.CheckoutAct)) *cobra.Command {
	var address string
	var asJSON bool
	var act admin.CheckoutAct
	c := &cobra.Command{Use: use, Short: short, Args: args(cobra.ExactArgs(1))}
	c.RunE = func(cmd *cobra.Command, given []string) error {
		var s admin.Checkout
		path := "/admin/v1/checkouts/" + url.PathEscape(given[0]) + "/" + c.Name()
		if err := callAdmin(address, adminCall{method: http.MethodPost, path: path, body: act}, &s); err != nil {
			return err
		}
		return printCheckout(cmd.OutOrStdout(), &s, asJSON)
	}
	addAdminFlags(c, &address, &asJSON)
	c.Flags().StringVar(&act.Reason, "reason", "", "why; logged with the act (required)")
	c.Flags().StringVar(&act.Operator, "operator", loginName(), "who does it")
	require(c, "reason")
	if flags != nil {
		flags(c, &act)
	}
	return c
}

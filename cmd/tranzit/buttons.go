package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend/admin"
	"github.com/tranzit/tranzit/frontend/page"
	"github.com/tranzit/tranzit/switch/joining"
)

// buttonFlags are what every command about a merchant's buttons is told.
type buttonFlags struct {
	address, merchant, mode string
	asJSON                  bool
	act                     admin.ButtonAct
}

func (f *buttonFlags) add(c *cobra.Command, acts bool) {
	addAdminFlags(c, &f.address, &f.asJSON)
	c.Flags().StringVar(&f.merchant, "merchant", "", "the merchant's id (required)")
	required := []string{"merchant"}
	if acts {
		c.Flags().StringVar(&f.act.Reason, "reason", "", "why; written with the act (required)")
		c.Flags().StringVar(&f.act.Operator, "operator", loginName(), "who does it")
		c.Flags().StringVar(&f.mode, "mode", "test", "test or live")
		required = append(required, "reason")
	}
	requireFlags(c, required...)
}

func (f *buttonFlags) path(rest string) string {
	return "/admin/v1/merchants/" + url.PathEscape(f.merchant) + rest
}

func buttonCommand() *cobra.Command {
	c := &cobra.Command{Use: "button", Short: "Make, list and disable a merchant's buttons: HTML for its pages"}
	c.AddCommand(buttonListCommand(), buttonCreateCommand(), buttonDisableCommand())
	return c
}

func buttonListCommand() *cobra.Command {
	var f buttonFlags
	c := &cobra.Command{Use: "list --merchant ID", Short: "List a merchant's buttons", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []page.ButtonView `json:"data"`
			}
			if err := getAdmin(f.address, f.path("/buttons"), &got); err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "button\tname\tmode\tstatus\torder\tlink")
			for _, b := range got.Data {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", b.ID, b.Name, map[bool]string{false: "test", true: "live"}[b.Live], b.Status, b.OrderID, b.URL)
			}
			return w.Flush()
		}}
	f.add(c, false)
	return c
}

func buttonCreateCommand() *cobra.Command {
	var f buttonFlags
	var expires time.Duration
	once := false
	c := &cobra.Command{Use: "create --merchant ID --name NAME --order ORDER", Short: "Make a button and print its HTML", Args: args(cobra.NoArgs),
		Long: "Make a button and print its HTML, which the merchant copies into a page.\n\nAmounts are minor units: 129900 is 1299.00. Say --amount, or --min-amount and\n--max-amount between which the buyer chooses.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if expires != 0 {
				at := time.Now().Add(expires)
				f.act.ExpiresAt = &at
			}
			if reusable := false; once {
				f.act.Reusable = &reusable
			}
			if f.act.Key == "" {
				f.act.Key = rand.Text()
			}
			return f.issue(cmd.OutOrStdout(), f.path("/buttons/"+url.PathEscape(f.mode)))
		}}
	f.add(c, true)
	w := &f.act.ButtonWish
	c.Flags().StringVar(&w.Name, "name", "", "what the merchant's people call it (required)")
	c.Flags().StringVar(&w.OrderID, "order", "", "the order's id; each press adds an ending to it (required)")
	c.Flags().Int64Var(&w.Amount, "amount", 0, "of one piece")
	c.Flags().Int64Var(&w.MinAmount, "min-amount", 0, "the least that the buyer may choose")
	c.Flags().Int64Var(&w.MaxAmount, "max-amount", 0, "the most that the buyer may choose")
	c.Flags().IntVar(&w.MaxQuantity, "max-quantity", 1, "pieces that one press may buy")
	c.Flags().StringVar(&w.Currency, "currency", "RUB", "ISO 4217")
	c.Flags().StringVar(&w.Description, "description", "", "shown to buyers")
	c.Flags().StringVar(&w.Language, "language", "", "of the page: "+page.LanguageList()+"; empty: as the buyer's browser asks")
	c.Flags().StringVar(&w.ReturnURL, "return-url", "", "where the page leads back to")
	c.Flags().StringVar(&w.CaptureMethod, "capture", "automatic", "automatic or manual")
	c.Flags().IntVar(&w.SessionMinutes, "session-minutes", 60, "how long the session of a press can be paid")
	c.Flags().DurationVar(&expires, "expires-in", 0, "how long the button sells; 0: for ever")
	c.Flags().BoolVar(&once, "once", false, "it sells one order, once")
	c.Flags().StringVar(&f.act.Key, "key", "", "the same for a repeat of this call; empty: a new one")
	requireFlags(c, "name", "order")
	return c
}

func buttonDisableCommand() *cobra.Command {
	var f buttonFlags
	c := &cobra.Command{Use: "disable BUTTON --merchant ID", Short: "End a button: no press makes a session any more", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return f.issue(cmd.OutOrStdout(), f.path("/buttons/"+url.PathEscape(f.mode)+"/"+url.PathEscape(given[0])+"/disable"))
		}}
	f.add(c, true)
	return c
}

// issue makes the call and prints the button it gives.
func (f *buttonFlags) issue(out io.Writer, path string) error {
	var b page.ButtonView
	if err := callAdmin(f.address, adminCall{method: http.MethodPost, path: path, body: f.act}, &b); err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(out, b)
	}
	fmt.Fprintf(out, "%s  %s  %s\n", b.ID, b.Name, b.Status)
	if b.Status == "active" {
		fmt.Fprintf(out, "link: %s\n\n%s", b.URL, b.Snippet)
	}
	return nil
}

func guideCommand() *cobra.Command {
	var f buttonFlags
	var language string
	c := &cobra.Command{Use: "guide --merchant ID", Short: "Print the merchant's own integration guide", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Markdown string `json:"markdown"`
			}
			if err := getAdmin(f.address, f.path("/guide?language="+url.QueryEscape(language)), &got); err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(cmd.OutOrStdout(), got)
			}
			_, err := io.WriteString(cmd.OutOrStdout(), got.Markdown)
			return err
		}}
	f.add(c, false)
	c.Flags().StringVar(&language, "language", "", strings.Join(joining.Languages, ", ")+"; empty: that of its application")
	return c
}

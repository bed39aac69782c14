package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend/admin"
	"github.com/tranzit/tranzit/switch/joining"
)

// joiningSpec is one command that makes an operator's act about an application.
type joiningSpec struct {
	use, short string
	kind       joining.ActType
	status     string                              // of set_item
	flags      func(*cobra.Command, *joining.Wish) // what else the act takes
}

var joiningSpecs = []joiningSpec{
	{use: "extend-test APPLICATION", short: "Let test mode go on for --hours from now", kind: joining.ActExtend, flags: func(c *cobra.Command, w *joining.Wish) {
		c.Flags().IntVar(&w.Hours, "hours", 24, "how long from now")
	}},
	{use: "accept-item APPLICATION BANK ITEM", short: "Accept what was given for an item of a bank's checklist", kind: joining.ActItem, status: joining.ItemAccepted},
	{use: "return-item APPLICATION BANK ITEM", short: "Send an item back to the merchant, who reads the reason", kind: joining.ActItem, status: joining.ItemReturned},
	{use: "waive-item APPLICATION BANK ITEM", short: "Go on without an item", kind: joining.ActItem, status: joining.ItemWaived},
	{use: "countersign APPLICATION BANK", short: "Sign the contract that the merchant accepted", kind: joining.ActCountersign, flags: func(c *cobra.Command, w *joining.Wish) {
		c.Flags().StringVar(&w.Contract, "contract", "", "its number (required)")
		require(c, "contract")
	}},
	{use: "provision APPLICATION BANK", short: "Give the merchant its ids at a bank", kind: joining.ActProvision, flags: func(c *cobra.Command, w *joining.Wish) {
		c.Flags().StringVar(&w.MerchantID, "merchant-id", "", "DE42 (required)")
		c.Flags().StringSliceVar(&w.Terminals, "terminal", nil, "DE41, 8 characters; several with commas (required)")
		require(c, "merchant-id", "terminal")
	}},
	{use: "test-connection APPLICATION BANK", short: "See whether payments could go to a bank now; no money is moved", kind: joining.ActTestConnection},
	{use: "check APPLICATION CHECK", short: "Run a check before live: webhook, refund or page", kind: joining.ActCheck},
	{use: "waive-check APPLICATION CHECK", short: "Go on without the check of the page", kind: joining.ActWaiveCheck},
	{use: "request-live APPLICATION BANK", short: "Ask another person to make the merchant live at a bank", kind: joining.ActRequestLive},
	{use: "approve-live APPLICATION BANK", short: "Make the merchant live at a bank, as the second person", kind: joining.ActApproveLive},
	{use: "refuse-live APPLICATION BANK", short: "Do not make the merchant live at a bank yet", kind: joining.ActRefuseLive},
	{use: "drop-bank APPLICATION BANK", short: "End the way to one bank", kind: joining.ActDropBank},
	{use: "reject APPLICATION", short: "Reject an application; its test keys end", kind: joining.ActReject},
}

func require(c *cobra.Command, names ...string) {
	for _, name := range names {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
}

// joiningCommands are what operators do about shops that join.
func joiningCommands() []*cobra.Command {
	list := []*cobra.Command{applicationsCommand(), applicationCommand(), uploadCommand(), lettersCommand(),
		actCommand(actSpec{use: "retry-letter LETTER", short: "Send a letter that was given up again", path: "/admin/v1/letters/%s/retry"})}
	for _, spec := range joiningSpecs {
		list = append(list, spec.command())
	}
	return list
}

func (y joiningSpec) command() *cobra.Command {
	var f joiningFlags
	f.act.Type, f.act.Status = y.kind, y.status
	c := &cobra.Command{Use: y.use, Short: y.short, Args: args(cobra.ExactArgs(len(strings.Fields(y.use)) - 1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			for i, name := range strings.Fields(y.use)[1:] {
				switch name {
				case "BANK":
					f.act.Bank = given[i]
				case "ITEM":
					f.act.Item = given[i]
				case "CHECK":
					f.act.Check = given[i]
				}
			}
			return f.send(cmd.OutOrStdout(), given[0])
		}}
	f.add(c)
	if y.flags != nil {
		y.flags(c, &f.act.Wish)
	}
	return c
}

// joiningFlags are what every act about an application is told.
type joiningFlags struct {
	address string
	asJSON  bool
	act     admin.JoiningAct
}

func (f *joiningFlags) add(c *cobra.Command) {
	addAdminFlags(c, &f.address, &f.asJSON)
	c.Flags().StringVar(&f.act.Reason, "reason", "", "why; written with the act (required)")
	c.Flags().StringVar(&f.act.Operator, "operator", loginName(), "who does it")
	require(c, "reason")
}

func (f *joiningFlags) send(out io.Writer, application string) error {
	var v joining.View
	path := "/admin/v1/applications/" + url.PathEscape(application) + "/acts"
	if err := callAdmin(f.address, adminCall{method: http.MethodPost, path: path, body: f.act}, &v); err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(out, v)
	}
	last := v.History[len(v.History)-1]
	fmt.Fprintln(out, strings.TrimSpace(fmt.Sprintf("%s: %s, %s %s", last.Type, v.Stage, last.Status, last.Detail)))
	if last.Status == "failed" {
		return errors.New("the check has not passed")
	}
	return nil
}

func uploadCommand() *cobra.Command {
	var f joiningFlags
	f.act.Type = joining.ActUpload
	c := &cobra.Command{Use: "upload APPLICATION BANK ITEM FILE", Short: "Add a document for an item of a bank's checklist", Args: args(cobra.ExactArgs(4)),
		RunE: func(cmd *cobra.Command, given []string) error {
			content, err := os.ReadFile(given[3])
			if err != nil {
				return err
			}
			f.act.Bank, f.act.Item, f.act.Name, f.act.Content = given[1], given[2], filepath.Base(given[3]), content
			return f.send(cmd.OutOrStdout(), given[0])
		}}
	f.add(c)
	return c
}

func applicationsCommand() *cobra.Command {
	var address, stage string
	var asJSON bool
	c := &cobra.Command{Use: "applications", Short: "List the applications of shops, the newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []joining.View `json:"data"`
			}
			if err := getAdmin(address, "/admin/v1/applications?limit=1000&stage="+url.QueryEscape(stage), &got); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "application\tstage\tcompany\tbanks\tnext\tof\tdue")
			for i := range got.Data {
				v := &got.Data[i]
				var banks []string
				for _, b := range v.Banks {
					banks = append(banks, b.Bank+" "+string(b.Stage))
				}
				next := joining.Need{}
				if len(v.Missing) > 0 {
					next = v.Missing[0]
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.Stage, v.Form.Company, strings.Join(banks, ", "), needText(next), next.Owner, next.Due)
			}
			return w.Flush()
		}}
	addAdminFlags(c, &address, &asJSON)
	c.Flags().StringVar(&stage, "stage", "", "only those of this stage: applied, testing, joining, live, rejected, withdrawn or expired")
	return c
}

func needText(n joining.Need) string {
	text := strings.TrimSpace(n.What + " " + n.Item)
	if n.Overdue {
		text += " (overdue)"
	}
	return text
}

func applicationCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "application APPLICATION", Short: "Show one application: where it is, what is missing, who did what", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			var v joining.View
			if err := getAdmin(address, "/admin/v1/applications/"+url.PathEscape(given[0]), &v); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			return printApplication(cmd.OutOrStdout(), &v)
		}}
	addAdminFlags(c, &address, &asJSON)
	return c
}

func printApplication(out io.Writer, v *joining.View) error {
	fmt.Fprintf(out, "%s  no. %d  %s  %s, %s <%s>\n", v.ID, v.Number, v.Stage, v.Form.Company, v.Form.ContactName, v.Form.Email)
	if v.MerchantID != nil {
		until := "for ever"
		if v.Test.Until != nil {
			until = "until " + *v.Test.Until
		}
		fmt.Fprintf(out, "merchant %s, test mode open: %t, %s\n", *v.MerchantID, v.Test.Open, until)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := range v.Banks {
		b := &v.Banks[i]
		fmt.Fprintf(w, "\nbank %s\t%s\t%s contract\t%s\t\n", b.Bank, b.Stage, b.Contract.Form, b.Contract.Number)
		for _, y := range b.Items {
			fmt.Fprintf(w, "  %s\t%s\t%s\tdue %s\t%s\n", y.ID, y.Status, y.Owner, y.Due, y.Text)
		}
	}
	fmt.Fprintln(w, "\nmissing:")
	for _, n := range v.Missing {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t\n", needText(n), n.Bank, n.Owner, n.Due)
	}
	fmt.Fprintln(w, "\nhistory:")
	for _, h := range v.History {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", h.At, h.Type, h.By, strings.TrimSpace(h.Bank+" "+h.Item), strings.TrimSpace(h.Status+" "+h.Detail))
	}
	return w.Flush()
}

func lettersCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "letters", Short: "List letters that could not be sent and were given up", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []json.RawMessage `json:"data"`
			}
			if err := getAdmin(address, "/admin/v1/letters/failed", &got); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "letter\tchannel\tto\ttemplate\tattempts\terror")
			for _, text := range got.Data {
				var y admin.FailedLetter
				if err := json.Unmarshal(text, &y); err != nil {
					return err
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", y.ID, y.Channel, y.To, y.Template, y.Attempts, y.Error)
			}
			return w.Flush()
		}}
	addAdminFlags(c, &address, &asJSON)
	return c
}

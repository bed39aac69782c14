package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend/admin"
	payswitch "github.com/tranzit/tranzit/switch"
)

// getAdmin reads one JSON answer of a running switch's admin listener.
func getAdmin(address, path string, into any) error {
	return callAdmin(address, adminCall{method: http.MethodGet, path: path}, into)
}

type adminCall struct {
	method, path string
	body         any
}

// callAdmin calls a running switch's admin listener. A refusal is its error.
func callAdmin(address string, call adminCall, into any) error {
	client := http.Client{Timeout: 10 * time.Minute}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	text, err := json.Marshal(call.body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(call.method, strings.TrimSuffix(address, "/")+call.path, bytes.NewReader(text))
	if err != nil {
		return usageError{fmt.Errorf("admin address %q: %w", address, err)}
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		var problem struct {
			Error string `json:"error"`
		}
		_ = json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(&problem)
		return errors.New(cmp.Or(problem.Error, response.Status))
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	return nil
}

// streamAdmin copies an answer of any length from a running switch's admin
// listener to out. An answer that breaks off is an error.
func streamAdmin(ctx context.Context, address string, out io.Writer) error {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return usageError{fmt.Errorf("admin address %q: %w", address, err)}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("admin listener: %s", response.Status)
	}
	if _, err := io.Copy(out, response.Body); err != nil {
		return fmt.Errorf("admin listener: the export broke off: %w", err)
	}
	return nil
}

func printJSON(out io.Writer, value any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

func bankLinkCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "bank-link", Short: "See the links of a running switch to its banks; drain, resume and pin banks"}
	list := &cobra.Command{
		Use:   "list",
		Short: "List banks, their links and the reversals they are owed",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []payswitch.BankStatus `json:"data"`
			}
			if err := getAdmin(address, "/admin/v1/banks", &got); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "bank\tdialect\tversion\thealth\tlink\tendpoint\tstate\tin flight\treversals owed")
			for _, b := range got.Data {
				health := b.Health
				if b.Drained {
					health = "drained"
				}
				for _, l := range b.Links.Links {
					fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%s\t%s\t%d\t%d\n", b.ID, l.Dialect, l.Version, health, l.Number, l.Endpoint, l.State, l.InFlight, b.Reversals)
				}
			}
			return w.Flush()
		},
	}
	addAdminFlags(list, &address, &asJSON)
	c.AddCommand(list, framesCommand(), catalogueCommand(), bankDialectCommand(),
		actCommand(actSpec{use: "drain BANK", short: "Send no new payments to a bank; its reversals go on", path: "/admin/v1/banks/%s/drain"}),
		actCommand(actSpec{use: "resume BANK", short: "Let new payments go to a drained bank again", path: "/admin/v1/banks/%s/resume"}),
		actCommand(actSpec{use: "change-keys BANK", short: "Change the keys of a bank's line, as its dialect says; payments go on", path: "/admin/v1/banks/%s/change-keys"}),
		actCommand(actSpec{use: "pin MERCHANT", short: "Bind a merchant's new payments to --bank", path: "/admin/v1/merchants/%s/pin", bank: true}),
		actCommand(actSpec{use: "unpin MERCHANT", short: "Let a merchant's payments be routed again", path: "/admin/v1/merchants/%s/pin"}))
	return c
}

// actSpec is one command that makes an operator's act.
type actSpec struct {
	use, short, path string
	bank, as, check  bool // needs --bank, --as, --check
	whole            bool // acts on no single thing: takes no argument
	links            bool // takes --links or --count
}

func actCommand(spec actSpec) *cobra.Command {
	var address string
	var asJSON bool
	var a admin.Act
	c := &cobra.Command{Use: spec.use, Short: spec.short, Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			var done map[string]string
			path := spec.path
			if !spec.whole {
				path = fmt.Sprintf(spec.path, url.PathEscape(given[0]))
			}
			if err := callAdmin(address, adminCall{method: http.MethodPost, path: path, body: a}, &done); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), done)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "done")
			return nil
		}}
	if spec.whole {
		c.Args = args(cobra.NoArgs)
	}
	addAdminFlags(c, &address, &asJSON)
	c.Flags().StringVar(&a.Reason, "reason", "", "why; written with the act (required)")
	c.Flags().StringVar(&a.Operator, "operator", loginName(), "who does it")
	required := []string{"reason"}
	if spec.bank {
		c.Flags().StringVar(&a.Bank, "bank", "", "the bank (required)")
		required = append(required, "bank")
	}
	if spec.check {
		c.Flags().StringVar(&a.Check, "check", "", "check value of the present key, from a copy of the key file that is kept elsewhere (required)")
		required = append(required, "check")
	}
	if spec.as {
		c.Flags().Int64Var(&a.Amount, "amount", 0, "minor units that stand at the bank, of a payment closed as captured or authorized (default what the bank's answer approved)")
		c.Flags().StringVar(&a.As, "as", "", "reversed: no money moved; captured or authorized: the charge stands; of an operation succeeded, declined or reversed (required)")
		required = append(required, "as")
	}
	if spec.links {
		c.Flags().IntSliceVar(&a.Links, "links", nil, "numbers of the links")
		c.Flags().IntVar(&a.Count, "count", 0, "or how many: the last ones")
		c.MarkFlagsMutuallyExclusive("links", "count")
		c.MarkFlagsOneRequired("links", "count")
	}
	for _, name := range required {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return c
}

func loginName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

func merchantCommand() *cobra.Command {
	c := &cobra.Command{Use: "merchant", Short: "Act for the merchants of a running switch, and for shops that join it"}
	c.AddCommand(userCommand(), ticketCommand(), refundLimitCommand(), templateCommand(), checkoutCommand(), buttonCommand(), guideCommand())
	c.AddCommand(actCommand(actSpec{use: "receipts-on MERCHANT", short: "Let the buyers of a shop that joined get receipts by mail", path: "/admin/v1/merchants/%s/receipts/on"}),
		actCommand(actSpec{use: "receipts-off MERCHANT", short: "Send no receipts to the buyers of a shop that joined", path: "/admin/v1/merchants/%s/receipts/off"}))
	c.AddCommand(actCommand(actSpec{use: "allow-card PAYMENT", short: "Let the declined card of a payment be tried again at its merchant",
		path: "/admin/v1/payments/%s/allow-card"}))
	c.AddCommand(joiningCommands()...)
	return c
}

func safCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "saf", Short: "See the messages a running switch owes; retry and close those on the desk"}
	list := &cobra.Command{
		Use:   "list",
		Short: "List reversals and operations that are owed, and those that need an operator",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []admin.OwedReversal `json:"data"`
			}
			if err := getAdmin(address, "/admin/v1/saf?limit=10000", &got); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "payment\toperation\tbank\tamount\tcurrency\trrn\tattempts\tdesk")
			for _, o := range got.Data {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%d\t%s\n", o.Payment, o.Operation, o.Bank, o.Amount, o.Currency, o.RRN, o.Attempts, o.Desk)
			}
			return w.Flush()
		},
	}
	addAdminFlags(list, &address, &asJSON)
	c.AddCommand(list,
		actCommand(actSpec{use: "retry ID", short: "Put a payment or an operation from the desk back into store-and-forward", path: "/admin/v1/saf/%s/retry"}),
		actCommand(actSpec{use: "close ID", short: "Settle a payment or an operation on the desk, with proof", path: "/admin/v1/saf/%s/close", as: true}))
	return c
}

func addAdminFlags(c *cobra.Command, address *string, asJSON *bool) {
	c.Flags().StringVar(address, "admin", "127.0.0.1:9090", "admin address of the running switch")
	c.Flags().BoolVar(asJSON, "json", false, "print JSON")
}

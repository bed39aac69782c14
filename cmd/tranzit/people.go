package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tranzit/tranzit/frontend/admin"
	"github.com/tranzit/tranzit/switch/people"
)

// peopleFlags are what every command about the people of a merchant is told.
type peopleFlags struct {
	address, merchant string
	asJSON            bool
	act               admin.PeopleAct
}

func (f *peopleFlags) add(c *cobra.Command, acts bool) {
	addAdminFlags(c, &f.address, &f.asJSON)
	c.Flags().StringVar(&f.merchant, "merchant", "", "the merchant's id (required)")
	required := []string{"merchant"}
	if acts {
		c.Flags().StringVar(&f.act.Reason, "reason", "", "why; written with the act (required)")
		c.Flags().StringVar(&f.act.Operator, "operator", loginName(), "who does it")
		required = append(required, "reason")
	}
	requireFlags(c, required...)
}

func requireFlags(c *cobra.Command, names ...string) {
	for _, name := range names {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
}

func (f *peopleFlags) path(rest string) string {
	return "/admin/v1/merchants/" + url.PathEscape(f.merchant) + rest
}

func userCommand() *cobra.Command {
	c := &cobra.Command{Use: "user", Short: "See, add and change the people of a merchant's cabinet"}
	c.AddCommand(userListCommand(), userAddCommand(), userActsCommand(),
		userActCommand("reset EMAIL", "Make a link by which a user sets password and authenticator anew", "/users/reset"),
		userActCommand("disable EMAIL", "Bar a user from everything, at every merchant; every session ends", "/users/disable"),
		userActCommand("enable EMAIL", "Let a barred user in again", "/users/enable"))
	return c
}

func userListCommand() *cobra.Command {
	var f peopleFlags
	c := &cobra.Command{Use: "list --merchant ID", Short: "List the people of a merchant", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []admin.UserView `json:"data"`
			}
			if err := getAdmin(f.address, f.path("/users"), &got); err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "email\tname\tstatus\trights\tlast seen")
			for _, u := range got.Data {
				seen := "-"
				if u.SeenAt != nil {
					seen = u.SeenAt.Format(time.RFC3339)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.Email, u.Name, u.Status, rightsAt(u.Grants, f.merchant), seen)
			}
			return w.Flush()
		}}
	f.add(c, false)
	return c
}

// rightsAt tells a user's roles at a merchant.
func rightsAt(grants []people.Grant, merchant string) string {
	var words []string
	for _, g := range grants {
		if g.Merchant == merchant {
			mode := "test"
			if g.Live {
				mode = "live"
			}
			words = append(words, mode+" "+string(g.Role))
		}
	}
	return strings.Join(words, ", ")
}

func userAddCommand() *cobra.Command {
	var f peopleFlags
	c := &cobra.Command{Use: "add EMAIL --merchant ID --role ROLE", Short: "Give somebody a role at a merchant; a new user gets a link",
		Long: fmt.Sprintf("Give somebody a role at a merchant. A new user gets a link, printed this once, by which\npassword and authenticator are set within three days.\n\nRoles: %s, or none to take the rights away.", roleWords()),
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			f.act.Email = given[0]
			return f.run(cmd.OutOrStdout(), "/users")
		}}
	f.add(c, true)
	c.Flags().StringVar(&f.act.Role, "role", "", roleWords()+" or none (required)")
	c.Flags().StringVar(&f.act.Mode, "mode", "both", "test, live or both")
	requireFlags(c, "role")
	return c
}

func roleWords() string {
	var words []string
	for _, r := range people.Roles() {
		words = append(words, string(r))
	}
	return strings.Join(words, ", ")
}

func userActCommand(use, short, path string) *cobra.Command {
	var f peopleFlags
	c := &cobra.Command{Use: use + " --merchant ID", Short: short, Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			f.act.Email = given[0]
			return f.run(cmd.OutOrStdout(), path)
		}}
	f.add(c, true)
	return c
}

// run makes the call and prints the user it gives.
func (f *peopleFlags) run(out io.Writer, path string) error {
	var u admin.UserView
	if err := callAdmin(f.address, adminCall{method: http.MethodPost, path: f.path(path), body: f.act}, &u); err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(out, u)
	}
	fmt.Fprintf(out, "%s  %s  %s\n", u.Email, u.Status, rightsAt(u.Grants, f.merchant))
	if u.Link != "" {
		fmt.Fprintf(out, "link: %s\nIt works once, for three days, and is not shown again.\n", u.Link)
	}
	return nil
}

func userActsCommand() *cobra.Command {
	var f peopleFlags
	var mode, text string
	c := &cobra.Command{Use: "acts --merchant ID", Short: "Search what people did at a merchant, the newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []admin.ActView `json:"data"`
			}
			query := url.Values{"mode": {mode}, "q": {text}}
			if err := getAdmin(f.address, f.path("/acts?"+query.Encode()), &got); err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "at\twho\twhat\tabout\tdetail\toutcome")
			for _, a := range got.Data {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", a.At.Format(time.RFC3339), a.Who, a.What, a.Payment+a.Object, a.Detail, a.Outcome)
			}
			return w.Flush()
		}}
	f.add(c, false)
	c.Flags().StringVar(&mode, "mode", "test", "test or live")
	c.Flags().StringVar(&text, "search", "", "text in who, what, about or detail")
	return c
}

func ticketCommand() *cobra.Command {
	c := &cobra.Command{Use: "ticket", Short: "Read and answer what people of merchants ask"}
	c.AddCommand(ticketListCommand(), ticketShowCommand(), ticketAnswerCommand())
	return c
}

func ticketListCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "List the tickets that wait for an operator", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []admin.TicketView `json:"data"`
			}
			if err := getAdmin(address, "/admin/v1/tickets", &got); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ticket\tmerchant\tsince\tpayment\tsubject")
			for _, t := range got.Data {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.ID, t.Merchant, t.UpdatedAt.Format(time.RFC3339), t.Payment, t.Subject)
			}
			return w.Flush()
		}}
	addAdminFlags(c, &address, &asJSON)
	return c
}

func ticketShowCommand() *cobra.Command {
	var address string
	var asJSON bool
	c := &cobra.Command{Use: "show TICKET", Short: "Show a ticket with its messages", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			var t admin.TicketView
			if err := getAdmin(address, "/admin/v1/tickets/"+url.PathEscape(given[0]), &t); err != nil {
				return err
			}
			return printTicket(cmd.OutOrStdout(), &t, asJSON)
		}}
	addAdminFlags(c, &address, &asJSON)
	return c
}

func ticketAnswerCommand() *cobra.Command {
	var address string
	var asJSON bool
	var act admin.PeopleAct
	c := &cobra.Command{Use: "answer TICKET", Short: "Answer a ticket with --text, or --close it", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if act.Text == "" && !act.Close {
				return usageError{fmt.Errorf("%s needs --text or --close", cmd.CommandPath())}
			}
			var t admin.TicketView
			call := adminCall{method: http.MethodPost, path: "/admin/v1/tickets/" + url.PathEscape(given[0]), body: act}
			if err := callAdmin(address, call, &t); err != nil {
				return err
			}
			return printTicket(cmd.OutOrStdout(), &t, asJSON)
		}}
	addAdminFlags(c, &address, &asJSON)
	c.Flags().StringVar(&act.Text, "text", "", "the answer; no card numbers")
	c.Flags().BoolVar(&act.Close, "close", false, "end the conversation")
	c.Flags().StringVar(&act.Operator, "operator", loginName(), "who answers")
	return c
}

func printTicket(out io.Writer, t *admin.TicketView, asJSON bool) error {
	if asJSON {
		return printJSON(out, t)
	}
	fmt.Fprintf(out, "%s  %s  %s  %s\n%s\n", t.ID, t.Merchant, t.Status, t.Payment, t.Subject)
	for _, m := range t.Messages {
		fmt.Fprintf(out, "\n%s  %s\n%s\n", m.At.Format(time.RFC3339), m.By, m.Text)
	}
	return nil
}

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
	payswitch "github.com/tranzit/tranzit/switch"
)

func keysCommand() *cobra.Command {
	c := &cobra.Command{Use: "keys", Short: "Make, list, roll and revoke the API keys of a merchant"}
	c.AddCommand(keysListCommand(), keysCreateCommand(),
		keyCommand("roll KEY", "Make a key in place of an old one, which goes on for --keep-old-hours", "roll"),
		keyCommand("revoke KEY", "End a key at once, for good", "revoke"))
	return c
}

// keysFlags are what every command about keys is told.
type keysFlags struct {
	address, merchant string
	asJSON            bool
	act               admin.KeyAct
}

func (f *keysFlags) add(c *cobra.Command, acts bool) {
	addAdminFlags(c, &f.address, &f.asJSON)
	c.Flags().StringVar(&f.merchant, "merchant", "", "the merchant's id (required)")
	required := []string{"merchant"}
	if acts {
		c.Flags().StringVar(&f.act.Reason, "reason", "", "why; written with the key (required)")
		c.Flags().StringVar(&f.act.Operator, "operator", loginName(), "who does it")
		required = append(required, "reason")
	}
	for _, name := range required {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
}

func (f *keysFlags) path() string {
	return "/admin/v1/merchants/" + url.PathEscape(f.merchant) + "/keys"
}

func keysListCommand() *cobra.Command {
	var f keysFlags
	c := &cobra.Command{Use: "list --merchant ID", Short: "List the keys of a merchant that the journal holds, without secrets", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Data []payswitch.KeyView `json:"data"`
			}
			if err := getAdmin(f.address, f.path(), &got); err != nil {
				return err
			}
			if f.asJSON {
				return printJSON(cmd.OutOrStdout(), got.Data)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "key\tname\tsecret\tstatus\tscopes\texpires\tlast used")
			for _, k := range got.Data {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Hint, k.Status, strings.Join(k.Scopes, ","), orDash(k.ExpiresAt), orDash(k.LastUsedAt))
			}
			return w.Flush()
		}}
	f.add(c, false)
	return c
}

func orDash(text *string) string {
	if text == nil {
		return "-"
	}
	return *text
}

func keysCreateCommand() *cobra.Command {
	var f keysFlags
	var expires time.Duration
	c := &cobra.Command{Use: "create --merchant ID --mode MODE --name NAME --scope SCOPE...", Short: "Make a key; its secret is printed this once", Args: args(cobra.NoArgs),
		Long: "Make a key; its secret is printed this once.\n\nScopes: * for all, or " + strings.Join(payswitch.ScopeWords(), ", ") + ".",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if expires != 0 {
				at := time.Now().Add(expires)
				f.act.ExpiresAt = &at
			}
			return f.issue(cmd.OutOrStdout(), f.path())
		}}
	f.add(c, true)
	wish := &f.act.KeyWish
	c.Flags().StringVar(&f.act.Mode, "mode", "test", "test or live")
	c.Flags().StringVar(&wish.Name, "name", "", "what people call it (required)")
	c.Flags().StringSliceVar(&wish.Scopes, "scope", nil, "what it may do (required)")
	c.Flags().DurationVar(&expires, "expires-in", 0, "how long it lives; 0: for ever")
	c.Flags().StringSliceVar(&wish.Addresses, "address", nil, "IP address or range it may be used from; none: any")
	c.Flags().StringSliceVar(&wish.Certificates, "certificate", nil, "pin of a client certificate it demands: sha256:HEX or subject:NAME")
	c.Flags().BoolVar(&wish.Signed, "signed", false, "the secret signs requests and is never sent")
	for _, name := range []string{"name", "scope"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return c
}

// keyCommand changes one key.
func keyCommand(use, short, does string) *cobra.Command {
	var f keysFlags
	var keep int
	c := &cobra.Command{Use: use + " --merchant ID", Short: short, Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			if does == "roll" {
				f.act.KeepOld = &keep
			}
			return f.issue(cmd.OutOrStdout(), f.path()+"/"+url.PathEscape(given[0])+"/"+does)
		}}
	f.add(c, true)
	if does == "roll" {
		c.Flags().IntVar(&keep, "keep-old-hours", int(payswitch.DefaultKeyGrace.Hours()), "how long the old key goes on, 0 to 168")
	}
	return c
}

// issue makes the call and prints the key it gives.
func (f *keysFlags) issue(out io.Writer, path string) error {
	var k payswitch.KeyView
	if err := callAdmin(f.address, adminCall{method: http.MethodPost, path: path, body: f.act}, &k); err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(out, k)
	}
	fmt.Fprintf(out, "%s  %s  %s\n", k.ID, k.Name, k.Status)
	if k.Secret != "" {
		fmt.Fprintf(out, "secret: %s\nIt is not shown again.\n", k.Secret)
	}
	return nil
}

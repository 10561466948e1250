package main

import (
	"cmp"
	"fmt"

	"github.com/coatcheck/coatcheck/internal/auth"
)

type tokenCommand struct {
	Name     string `placeholder:"backend" help:"Name of the token, for logs: \"backend\" when it is not given, or \"operator\"."`
	Tenant   string `required:"" xor:"reach" help:"Tenant whose media the token reaches."`
	Operator bool   `required:"" xor:"reach" help:"Make an operator's token instead: it reaches AdminService, which shows what spans tenants, and no tenant's media."`
}

func (c *tokenCommand) Run(s streams) error {
	token, line, err := c.make()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "The token, shown this once; give it to the caller, who sends it as \"Authorization: Bearer TOKEN\":\n")
	fmt.Fprintln(s.err, "  "+token)
	fmt.Fprintf(s.err, "The line that lets it in, for COATCHECK_TOKENS or the tokens file:\n")
	_, err = fmt.Fprintln(s.out, line)
	return err
}

func (c *tokenCommand) make() (token, line string, err error) {
	if c.Operator {
		return auth.NewOperatorToken(cmp.Or(c.Name, "operator"))
	}
	return auth.NewToken(cmp.Or(c.Name, "backend"), c.Tenant)
}

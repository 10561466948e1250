package main

// Who sees and touches what.

func scopeMutants() []mutant {
	const (
		store = "internal/postgres/store.go"
		keyed = "internal/postgres/keyed.go"
	)
	return []mutant{
		{
			name: "scope-without-tenant", rule: "R9", breaks: "every tenant's media are found by their ids",
			edits: []edit{{store, `q = q.Where("m.tenant || '' = ?", scope.Tenant)`, `q = q.Where("TRUE")`}},
			test:  suite{"./internal/postgres", "TestNobodySeesWhatIsNotTheirs"},
		},
		{
			name: "scope-without-owner", rule: "R9", breaks: "another owner's media are found by their ids",
			edits: []edit{{store, `q = q.Where("m.owner || '' = ?", scope.Owner)`, `q = q.Where("TRUE")`}},
			test:  suite{"./internal/rpc", "TestNobodyTouchesWhatIsNotTheirs"},
		},
		{
			name: "page-from-another-owner", rule: "R9", breaks: "a page of the newest has the media of owners who come before by name",
			edits: []edit{{store, "scope.Owner, scope.Tenant, uuid.Nil)", `"", scope.Tenant, uuid.Nil)`}},
			test:  suite{"./internal/postgres", "TestList"},
		},
		{
			name: "page-to-another-owner", rule: "R9", breaks: "a page of the newest has the media of owners who come after by name",
			edits: []edit{{store, "scope.Owner, scope.Tenant, last)", `scope.Owner+"z", scope.Tenant, last)`}},
			test:  suite{"./internal/postgres", "TestList"},
		},
		{
			name: "page-from-another-tenant", rule: "R9", breaks: "a tenant's page has the media of tenants who come before by name",
			edits: []edit{{store, `"(m.tenant, m.id) >= (?, ?)", scope.Tenant, uuid.Nil)`, `"(m.tenant, m.id) >= (?, ?)", "", uuid.Nil)`}},
			test:  suite{"./internal/postgres", "TestList"},
		},
		{
			name: "page-to-another-tenant", rule: "R9", breaks: "a tenant's page has the media of tenants who come after by name",
			edits: []edit{{store, `"(m.tenant, m.id) <= (?, ?)", scope.Tenant, last)`, `"(m.tenant, m.id) <= (?, ?)", scope.Tenant+"z", last)`}},
			test:  suite{"./internal/postgres", "TestList"},
		},
		{
			name: "list-of-another-owner", rule: "R9", breaks: "whoever acts for one owner may list another's media",
			edits: []edit{{"internal/rpc/media.go", `if scope.Owner != "" && scope.Owner != owner {`, "if false {"}},
			test:  suite{"./internal/rpc", "TestNobodyTouchesWhatIsNotTheirs"},
		},
		{
			name: "idempotency-across-owners", rule: "R9", breaks: "an idempotency key gives one owner another's upload",
			edits: []edit{
				{"migrations/00001_media.sql", "ON coatcheck.media (tenant, owner, idempotency_key)", "ON coatcheck.media (tenant, idempotency_key)"},
				{keyed, "CONFLICT (tenant, owner, idempotency_key)", "CONFLICT (tenant, idempotency_key)"},
				{keyed, "(m.tenant, m.owner, m.idempotency_key) IN", "(m.tenant, '', m.idempotency_key) IN"},
				{keyed, "upload{r.Tenant, r.Owner, r.IdempotencyKey}", `upload{r.Tenant, "", r.IdempotencyKey}`},
			},
			test: suite{"./internal/postgres", "TestIdempotencyKeyIsTheOwners"},
		},
		{
			name: "sql-claims-for-any-tenant", rule: "R9", breaks: "claim_media confirms the media of tenants that the role was not granted",
			edits: []edit{
				{claimsSQL, "WHERE m.id = ANY (claim_within.ids) AND m.tenant || '' = ANY (tenants)\n            AND", "WHERE m.id = ANY (claim_within.ids)\n            AND"},
				{claimsSQL, "WHERE m.id = ANY (claim_within.ids) AND m.tenant || '' = ANY (tenants)\n        AND", "WHERE m.id = ANY (claim_within.ids)\n        AND"},
			},
			test: suite{"./internal/postgres", "TestProductSeesItsTenantsOnly"},
		},
		{
			name: "watch-anybodys", rule: "R9", breaks: "a stream tells of another owner's media",
			edits: []edit{{"internal/watch/watch.go", "h.store.GetAll(ctx, scope, ids)", "h.store.GetAll(ctx, media.Scope{Tenant: scope.Tenant}, ids)"}},
			test:  suite{"./internal/watch", "TestNotTheirs"},
		},
		{
			name: "admin-for-tenants", rule: "R9", breaks: "a tenant's token shows every tenant's strays and missing media",
			edits: []edit{{"internal/rpc/server.go", "auth.Require(auth.Operators(c.Authenticate), handler)", "auth.Require(c.Authenticate, handler)"}},
			test:  suite{"./internal/rpc", "TestOperatorsAndTenants"},
		},
		{
			name: "media-for-operators", rule: "R9", breaks: "an operator's token is let in where media are",
			edits: []edit{{"internal/auth/auth.go", `func(i Identity) bool { return i.Tenant != "" }`, "func(Identity) bool { return true }"}},
			test:  suite{"./internal/rpc", "TestOperatorsAndTenants"},
		},
		{
			name: "any-token", rule: "R9", breaks: "whoever sends some token is let in",
			edits: []edit{{"internal/auth/tokens.go",
				"identity, ok := t[sha256.Sum256([]byte(token))]\n", "identity, ok := t[sha256.Sum256([]byte(token))]\n" +
					"\tfor _, identity = range t {\n\t\tok = true\n\t}\n"}},
			test: suite{"./internal/rpc", "TestWhoIsCalling"},
		},
	}
}

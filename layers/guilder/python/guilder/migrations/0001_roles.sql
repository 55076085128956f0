-- run as: administrator
-- The three roles and their limits. Log-in (password or rds_iam) is the business of whoever runs the cluster: nothing here holds a secret.
-- Roles belong to the whole cluster, so another database's migration may have made them already.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['guilder_owner', 'guilder_app', 'guilder_mover'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I LOGIN', wanted);
            EXCEPTION WHEN duplicate_object THEN
                NULL;  -- made at the same moment by another database's migration
            END;
        END IF;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam') THEN
            EXECUTE format('GRANT rds_iam TO %I', wanted);
        END IF;
    END LOOP;
    IF NOT pg_has_role(current_user, 'guilder_owner', 'MEMBER') THEN
        GRANT guilder_owner TO CURRENT_USER;
    END IF;
    EXECUTE format('GRANT CREATE, CONNECT ON DATABASE %I TO guilder_owner', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO guilder_app, guilder_mover', current_database());
    -- Limits live on the role, since a pooler accepts no SET. A request has 25 s in all, and each of its statements takes milliseconds:
    -- one that runs for 5 s is stuck. The client's own limit is the same (config.Budgets.statement).
    EXECUTE format('ALTER ROLE guilder_app IN DATABASE %I SET statement_timeout = ''5s''', current_database());
    EXECUTE format('ALTER ROLE guilder_app IN DATABASE %I SET lock_timeout = ''4s''', current_database());
    EXECUTE format('ALTER ROLE guilder_app IN DATABASE %I SET idle_in_transaction_session_timeout = ''10s''', current_database());
    -- A migration that waits for a lock makes every request behind it wait too: it gives up soon and is run again.
    EXECUTE format('ALTER ROLE guilder_owner IN DATABASE %I SET lock_timeout = ''3s''', current_database());
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO guilder_owner;
GRANT USAGE ON SCHEMA public TO guilder_app, guilder_mover;

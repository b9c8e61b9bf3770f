-- Until when a listener is down, where one failure keeps all of its messages waiting (DocuSign's
-- schedule): what comes meanwhile waits for that time too. Null: nobody waits for that.
alter table failing_configuration add column down_until_us bigint;

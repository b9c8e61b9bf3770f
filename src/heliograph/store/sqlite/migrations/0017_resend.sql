-- What was delivered can be sent again (docs/decisions/0029): it waits anew, and whoever asked stands
-- with the delivery and with each post that follows from it.
insert into legal_move (from_state, to_state) values
('delivered', 'waiting'), ('delivered', 'held');

alter table delivery add column resent_by text;
alter table attempt add column resent_by text;

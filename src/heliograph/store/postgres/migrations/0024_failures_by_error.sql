-- Open failures by the text of their error, of which few are different as a rule: those that a call
-- asks for are found among the texts, and then their failures in the order of a listing. A text
-- without end is kept by its beginning, as an index must have it.
create index failure_by_error
on delivery (account_id, left(error, 500), created_us, delivery_id)
where failed_us is not null;

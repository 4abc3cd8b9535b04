"""SQL, its schema and migrations. No rules: what may happen is decided in `domain`.

engine        Store: opening, closing, write and read
group_commit  how requests share a transaction
unit_of_work  one transaction, as services and queries see it
dialect       where the databases differ in SQL
driver        where they differ in connections, BEGIN, COMMIT and failures
hints         who is woken after a commit
migration     the revision of the schema, and the way to it
schema        the tables; beside it, one module of queries for each noun
"""

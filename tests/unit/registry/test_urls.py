"""Credentials never show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.registry.urls import without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://ann:s3cret@mlflow:5000/x", "http://mlflow:5000/x"),
        ("https://ann:s3cr@t@mlflow/x", "https://mlflow/x"),
        ("postgresql+psycopg2://u:p@db:5432/mlflow?password=x", "postgresql+psycopg2://db:5432/mlflow"),
        ("https://bucket.s3.aws/k?X-Amz-Signature=abc failed", "https://bucket.s3.aws/k failed"),
        ("a http://u:p@h and 'https://t@k/x'", "a http://h and 'https://k/x'"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer …"),
        ("models:/churn@champion", "models:/churn@champion"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("http://h/a@b", "http://h/a@b"),
    ],
)
def test_credentials_are_taken_out_of_urls_and_messages(text, shown):
    """The host stays, the user part and the query go."""
    assert without_credentials(text) == shown


@given(st.text(st.characters(exclude_characters="/?# '\"<>@:", categories=("L", "N", "P")), min_size=6))
def test_no_password_survives(password):
    """Whatever the password is made of."""
    assert without_credentials(f"http://ann:{password}@example/") == "http://example/"
